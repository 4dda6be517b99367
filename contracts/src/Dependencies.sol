// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// Deployed as they are published: imported so that the build compiles them with the same settings.
// forge-lint: disable-start(unused-import)
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
// forge-lint: disable-end(unused-import)
