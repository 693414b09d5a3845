"""The venue's catalog over REST: exchangeInfo and fundingInfo."""

from bot.simulator.budget import WEIGHT_LIMIT
from bot.simulator.universe import Listing, Universe

ONBOARDED = 1_569_398_400_000  # ms; 2019-09-25


def exchange_info(universe: Universe, now: int) -> dict[str, object]:
    """The body of GET /fapi/v1/exchangeInfo: USDS-M contracts of every status."""
    weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
    rows = (each for each in universe.listings.values() if not each.coin_margined)
    return {
        "timezone": "UTC",
        "serverTime": now,
        "futuresType": "U_MARGINED",
        "rateLimits": [{**weight, "limit": WEIGHT_LIMIT}],
        "exchangeFilters": [],
        "assets": [
            {"asset": name, "marginAvailable": True, "autoAssetExchange": "0"}
            for name in ("USDT", "USDC")
        ],
        "symbols": [_contract(each) for each in rows],
    }


def _contract(listing: Listing) -> dict[str, object]:
    return {
        "symbol": listing.symbol,
        "pair": f"{listing.base}{listing.quote}",
        "contractType": listing.contract_type,
        "deliveryDate": listing.delivery,
        "onboardDate": ONBOARDED,
        "status": listing.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": 8,
        "quantityPrecision": 3,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": listing.underlying,
        "underlyingSubType": ["TradFi"] if listing.tradfi else [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _FILTERS,
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


# The same for every contract: clients read precisions and limits from them when they load markets.
_FILTERS = (
    {
        "filterType": "PRICE_FILTER",
        "minPrice": "0.00000100",
        "maxPrice": "4529764",
        "tickSize": "0.00000100",
    },
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000000", "stepSize": "0.001"},
    {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120000", "stepSize": "0.001"},
    {"filterType": "MAX_NUM_ORDERS", "limit": 200},
    {"filterType": "MIN_NOTIONAL", "notional": "5"},
    {
        "filterType": "PERCENT_PRICE",
        "multiplierUp": "1.0500",
        "multiplierDown": "0.9500",
        "multiplierDecimal": "4",
    },
)


def funding_info(universe: Universe) -> list[dict[str, object]]:
    """The body of GET /fapi/v1/fundingInfo: what was adjusted; the missing pay every 8 h.

    COIN-M perpetuals are listed as well, as on the venue.
    """
    return [
        {
            "symbol": each.symbol,
            "adjustedFundingRateCap": each.cap,
            "adjustedFundingRateFloor": f"-{each.cap}",
            "fundingIntervalHours": each.interval,
            "disclaimer": each.cap == "0.00300",
            "updateTime": None if each.cap == "0.00300" else 1_760_955_417_544,
        }
        for each in universe.listings.values()
        if each.adjusted and each.funded
    ]
