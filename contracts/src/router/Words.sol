// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// What the router's stream, its transient words, and the calls it makes are made of.

// The stream's version, in the upper half of its first byte; the lower half are these flags.
uint256 constant VERSION = 2;
uint256 constant EXPLICIT_BASE = 1;
uint256 constant EXACT_BLOCK = 2;
uint256 constant EXTRAS = 4;
uint256 constant SEVERAL = 8;
uint256 constant HEADER_BYTES = 19;
uint256 constant PARENT_PIN = 1;
uint256 constant BUILDER_BID = 2;

// Kinds of command, in the upper six bits of a command's first byte.
uint256 constant KIND_END = 0;
uint256 constant KIND_V2 = 1;
uint256 constant KIND_V3 = 2;
uint256 constant KIND_V4 = 3;
uint256 constant KIND_BALANCER_V3 = 4;
uint256 constant KIND_CURVE = 5;
uint256 constant KIND_VAULT = 6;
uint256 constant KIND_WRAPPER = 7;
uint256 constant KIND_NATIVE = 8;
uint256 constant KIND_BALANCER_V2 = 9;
uint256 constant KIND_BALANCER_LOAN = 10;
uint256 constant KIND_MORPHO_LOAN = 11;
uint256 constant KIND_AAVE_LOAN = 12;
uint256 constant KIND_HOLD = 13;
// No first byte of a command.
uint256 constant DONE = 256;

// How a hop that must have its input first is placed; in the lower two bits of its first byte.
uint256 constant FORWARD = 0;
uint256 constant DIRECT = 1;
uint256 constant RELAY = 2;

// Bits of such a hop's form.
uint256 constant SECOND_FORM = 1;
uint256 constant INPUT_PUSHED = 2;
uint256 constant INPUT_APPROVED = 4;
uint256 constant INPUT_IS_BASE = 8;
uint256 constant OUTPUT_IS_BASE = 16;

// Bits of a V4 run's and of each of its hops' flags: which token is meant, and what follows.
uint256 constant TOKEN_IS_BASE = 1;
uint256 constant TOKEN_IS_NATIVE = 2;
uint256 constant HAS_HOOKS = 4;
uint256 constant MORE_HOPS = 8;
uint256 constant PAY_BY_ROUTER = 16;

// Transient slot: the commitment to the awaited callback, 0 while none is awaited.
uint256 constant EXPECTATION = 0;

// Layouts of callbacks, part of the commitment.
uint256 constant LAYOUT_V2 = 1;
uint256 constant LAYOUT_V3 = 2;
uint256 constant LAYOUT_V4 = 3;
uint256 constant LAYOUT_BALANCER_V3 = 4;
uint256 constant LAYOUT_BALANCER_LOAN = 5;
uint256 constant LAYOUT_MORPHO_LOAN = 6;
uint256 constant LAYOUT_AAVE_LOAN = 7;

// One inside TickMath's bounds: where a V3-type pool stops a swap in either direction.
uint256 constant LOWEST_LIMIT = 4295128740;
uint256 constant HIGHEST_LIMIT = 1461446703485210103287273052203988822378723970341;

// The builder's fee recipient may be a contract, but not one that does much.
uint256 constant BUILDER_GAS = 20000;
// Reasons of others are passed on to this length.
uint256 constant REASON_BYTES = 512;

// Functions called.
uint256 constant BALANCE_OF = 0x70a08231;
uint256 constant TRANSFER = 0xa9059cbb;
uint256 constant APPROVE = 0x095ea7b3;
uint256 constant ALLOWANCE = 0xdd62ed3e;
uint256 constant DEPOSIT_NATIVE = 0xd0e30db0;
uint256 constant WITHDRAW_NATIVE = 0x2e1a7d4d;
uint256 constant SWAP_V2 = 0x022c0d9f;
uint256 constant SWAP_V3 = 0x128acb08;
uint256 constant UNLOCK = 0x48c89491;
uint256 constant SWAP_V4 = 0xf3cd914c;
uint256 constant TAKE_V4 = 0x0b0d9c09;
uint256 constant SYNC_V4 = 0xa5841194;
uint256 constant SETTLE_V4 = 0x11da60b4;
uint256 constant SWAP_BALANCER_V3 = 0x2bfb780c;
uint256 constant SEND_TO = 0xae639329;
uint256 constant SETTLE_BALANCER_V3 = 0x15afd409;
uint256 constant SWAP_BALANCER_V2 = 0x52bbbe29;
uint256 constant CURVE_EXCHANGE_INT = 0x3df02124;
uint256 constant CURVE_EXCHANGE_UINT = 0x5b41b908;
uint256 constant CURVE_RECEIVED_INT = 0xafb43012;
uint256 constant CURVE_RECEIVED_UINT = 0x767691e7;
uint256 constant VAULT_DEPOSIT = 0x6e553f65;
uint256 constant VAULT_REDEEM = 0xba087652;
uint256 constant WRAP = 0xea598cb0;
uint256 constant UNWRAP = 0xde0e9a3e;
uint256 constant BALANCER_FLASH_LOAN = 0x5c38449e;
uint256 constant MORPHO_FLASH_LOAN = 0xe0232b42;
uint256 constant AAVE_FLASH_LOAN = 0x42b0b77c;

// Callbacks served.
uint256 constant CALLBACK_UNISWAP_V2 = 0x10d1e85c;
uint256 constant CALLBACK_PANCAKE_V2 = 0x84800812;
uint256 constant CALLBACK_SOLIDLY = 0x9a7bff79;
uint256 constant CALLBACK_UNISWAP_V3 = 0xfa461e33;
uint256 constant CALLBACK_PANCAKE_V3 = 0x23a69e75;
uint256 constant CALLBACK_ALGEBRA = 0x2c8958f6;
uint256 constant CALLBACK_V4 = 0x91dd7346;
// The Balancer V3 vault calls back with the data it was given, so the selector is of the router's choice.
uint256 constant CALLBACK_BALANCER_V3 = 0x357b29df;
uint256 constant CALLBACK_BALANCER_LOAN = 0xf04f2707;
uint256 constant CALLBACK_MORPHO_LOAN = 0x31f57072;
uint256 constant CALLBACK_AAVE_LOAN = 0x1b11d0ff;

// Errors, declared in IArbitrageRouter.
uint256 constant UNSUPPORTED_VERSION = 0xc9249fee;
uint256 constant EXPIRED = 0x203d82d8;
uint256 constant OTHER_PARENT = 0xfbb3a756;
uint256 constant MALFORMED_STREAM = 0xf8cdaf81;
uint256 constant UNEXPECTED_CALLBACK = 0xdab1e993;
uint256 constant CALLBACK_NOT_SPENT = 0x9862725b;
uint256 constant NOTHING_OWED = 0x797dba54;
uint256 constant TRANSFER_REFUSED = 0x5a0a2fe3;
uint256 constant BALANCE_UNKNOWN = 0xbb2eddfe;
uint256 constant BALANCE_FELL = 0x8c33b24d;
uint256 constant ALLOWANCE_LEFT = 0x4cf07488;
uint256 constant BUILDER_REFUSED = 0xe9e3341b;
uint256 constant PROFIT_TOO_LOW = 0x88215f9c;
