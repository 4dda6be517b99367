// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Prices of tokens from Chainlink-style aggregators, each answer judged before it is believed
/// @notice A price is `quote` per one whole `base`, with 18 decimals. US dollars are quoted as address 0x348
/// (ISO 4217 number 840); native ether as its wrapped token.
interface IPriceFeedRegistry {
    /// @notice Where a price comes from and what makes it believable.
    /// @param aggregator The Chainlink-style contract.
    /// @param maxStaleness Oldest acceptable answer, in seconds.
    /// @param decimals The aggregator's decimals when the feed was set.
    /// @param minAnswer Least acceptable answer, in the aggregator's units.
    /// @param maxAnswer Greatest acceptable answer, in the aggregator's units.
    struct Feed {
        address base;
        address quote;
        address aggregator;
        uint32 maxStaleness;
        uint8 decimals;
        int256 minAnswer;
        int256 maxAnswer;
    }

    event FeedSet(
        address indexed base,
        address indexed quote,
        address indexed aggregator,
        uint32 maxStaleness,
        int256 minAnswer,
        int256 maxAnswer
    );
    event FeedRemoved(address indexed base, address indexed quote);

    /// @notice A feed's `field` cannot have this value.
    error InvalidFeed(string field);
    /// @notice There is no feed for these tokens.
    error UnknownFeed(address base, address quote);
    /// @notice There is no believable price; `status` as in `tryQuote`.
    error QuoteUnavailable(address base, address quote, uint8 status);

    /// @notice Set or replace the feed of (base, quote). Curator.
    function setFeed(
        address base,
        address quote,
        address aggregator,
        uint32 maxStaleness,
        int256 minAnswer,
        int256 maxAnswer
    ) external;

    /// @notice Remove the feed of (base, quote) at once. Guardian.
    function removeFeed(address base, address quote) external;

    /// @notice The price of one whole `base` in `quote`, with 18 decimals. Never reverts.
    /// @return priceE18 The price; meaningful with status 0, informative with status 2, else zero.
    /// @return updatedAt When the aggregator took its answer, in unix seconds; zero with status 1 and 4.
    /// @return status 0 believable, 1 no feed, 2 stale or from the future, 3 outside its bounds or not positive,
    /// 4 the aggregator did not answer.
    function tryQuote(address base, address quote)
        external
        view
        returns (uint256 priceE18, uint256 updatedAt, uint8 status);

    /// @notice Like `tryQuote`, but reverts with `QuoteUnavailable` unless the price is believable.
    function quoteStrict(address base, address quote)
        external
        view
        returns (uint256 priceE18, uint256 updatedAt);

    function feedCount() external view returns (uint256);

    function feedAt(uint256 index) external view returns (Feed memory);
}
