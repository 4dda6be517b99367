// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Prices of tokens from immutable sources, each answer judged before it is believed
/// @notice A price is `quote` per one whole `base`, with 18 decimals. US dollars are quoted as address 0x348
/// (ISO 4217 number 840); native ether as its wrapped token.
interface IPriceFeedRegistry {
    /// @notice Where a price comes from and what makes it believable.
    /// @param minSources Least number of sources that must answer.
    /// @param maxSpreadBps Greatest distance between the lowest and the highest answer, in 1e-4 of the median.
    /// @param maxCrossBps Greatest distance of a cross-check from the median, in 1e-4 of the median.
    /// @param sources Contracts with `IPriceSource`; the price is their median.
    /// @param crossChecks The same, but never part of the price: they can only refuse it.
    struct Feed {
        address base;
        address quote;
        uint8 minSources;
        uint16 maxSpreadBps;
        uint16 maxCrossBps;
        address[] sources;
        address[] crossChecks;
    }

    event FeedSet(
        address indexed base,
        address indexed quote,
        uint8 minSources,
        uint16 maxSpreadBps,
        uint16 maxCrossBps,
        address[] sources,
        address[] crossChecks
    );
    event FeedRemoved(address indexed base, address indexed quote);
    event SourceRemoved(address indexed base, address indexed quote, address indexed source);

    /// @notice A feed's `field` cannot have this value.
    error InvalidFeed(string field);
    /// @notice There is no feed for these tokens.
    error UnknownFeed(address base, address quote);
    /// @notice The feed of these tokens has no such source.
    error UnknownSource(address base, address quote, address source);
    /// @notice There is no believable price; `status` as in `tryQuote`.
    error QuoteUnavailable(address base, address quote, uint8 status);

    /// @notice Set or replace the feed of (feed.base, feed.quote). Curator, after the delay.
    function setFeed(Feed calldata feed) external;

    /// @notice Remove the feed of (base, quote) at once. Guardian.
    function removeFeed(address base, address quote) external;

    /// @notice Take one source (or cross-check) out of a feed at once. Guardian. With fewer than `minSources`
    /// left, the feed refuses.
    function removeSource(address base, address quote, address source) external;

    /// @notice The price of one whole `base` in `quote`, with 18 decimals. Never reverts.
    /// @dev With too little gas sources may seem to fail, which refuses a price and never makes one.
    /// @return priceE18 The median of the sources that answered; zero unless the status is 0.
    /// @return updatedAt The oldest time among them, in unix seconds; zero unless the status is 0.
    /// @return status One of `QuoteStatus`: 0 believable, 1 no feed, 2 stale or from the future, 3 out of
    /// bounds, 4 a source did not answer, 5 sources disagree, 6 sequencer down, 7 source changed. With too few
    /// answers it is the first refusal among the sources.
    /// @return used How many sources answered.
    function tryQuote(address base, address quote)
        external
        view
        returns (uint256 priceE18, uint256 updatedAt, uint8 status, uint8 used);

    /// @notice Like `tryQuote`, but reverts with `QuoteUnavailable` unless the price is believable.
    function quoteStrict(address base, address quote)
        external
        view
        returns (uint256 priceE18, uint256 updatedAt);

    function feedCount() external view returns (uint256);

    /// @notice At most `limit` feeds, from index `offset` on. Removing a feed moves the last one to its index.
    function feeds(uint256 offset, uint256 limit) external view returns (Feed[] memory page);

    /// @notice The feed of (base, quote); reverts with `UnknownFeed`.
    function feedOf(address base, address quote) external view returns (Feed memory);
}
