"""The words of a statement, Chinese and English side by side; lists that others may extend fall back to the raw word."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("zh", "en")

_LINES = {
    "plan_fee": ("套餐费（转入预存话费）", "Plan fee, added to call credit"),
    "payment": ("充值缴费", "Payments"),
    "refund": ("退款", "Refunds"),
    "call": ("本月通话费", "Calls of this month"),
    "late_call": ("往月迟到话单", "Late calls from earlier months"),
    "minimum_top_up": ("最低消费补足", "Top-up to the minimum"),
    "late_call_adjustment": ("迟到话单冲抵补足", "Top-up reversed for late calls"),
    "rerating": ("重新批价", "Re-rating"),
    "feature_fee": ("附加功能费", "Feature fees"),
    "fine": ("罚款", "Fines"),
    "fine_payment": ("缴纳罚款", "Fine payments"),
    "reversal": ("冲正", "Reversals"),
    "write_off": ("坏账核销", "Write-off"),
    "settlement": ("月末结算", "Settlement at month end"),
    "credit_expiry": ("到期清零", "Expired credit"),
}

_POTS = {
    "credit": ("预存话费", "Credit"),
    "cash": ("现金", "Cash"),
    "usage": ("待结算", "Unsettled"),
    "deposit": ("预付款", "Deposit"),
    "fines": ("应缴罚款", "Fines payable"),
    "total": ("合计", "Total"),
}

_LISTS = {
    "ordinary": ("普通号码", "Ordinary"),
    "free": ("空闲", "free"),
    "held": ("预占", "held"),
    "locked": ("已签约", "contracted"),
    "documents_submitted": ("资料已提交", "documents submitted"),
    "real_name_approved": ("实名已通过", "real name approved"),
    "active": ("在用", "active"),
    "suspended": ("停机", "suspended"),
    "frozen": ("冻结", "frozen"),
    "reclaimed": ("已收回", "reclaimed"),
    "outside_mainland": ("境外来电", "from abroad"),
    "mobile_caller_to_800": ("手机拨打800", "mobile to 800"),
    "restricted": ("限制", "restricted"),
    "ivr": ("语音导航", "IVR"),
    "ringback": ("企业彩铃", "Ringback tone"),
    "recording": ("通话录音", "Recording"),
    "screen_pop": ("来电弹屏", "Screen pop"),
    "block_list": ("黑白名单", "Block list"),
    "time_routing": ("分时接听", "Routing by time"),
    "area_routing": ("分区接听", "Routing by area"),
    "voicemail": ("语音信箱", "Voicemail"),
    "queue": ("排队等候", "Queue"),
    "satisfaction": ("满意度调查", "Satisfaction survey"),
    "fax": ("网络传真", "Fax"),
    "conference": ("电话会议", "Conference"),
    "secondary_sale": ("二次销售", "Secondary sale"),
    "suspected_fraud": ("涉嫌诈骗", "Suspected fraud"),
    "open": ("争议中", "disputed"),
    "upheld": ("争议维持", "upheld"),
    "reversed": ("争议冲正", "reversed"),
}

_PAGE = {
    "customer": ("400 号码月度账单", "Monthly statement for 400 numbers"),
    "provider": ("服务商月度账单", "Monthly provider statement"),
    "statement_no": ("账单编号", "Statement no."),
    "period": ("账期", "Period"),
    "customer_id": ("客户编号", "Customer no."),
    "provider_id": ("服务商编号", "Provider no."),
    "above_customer": ("服务商", "Provider"),
    "above_provider": ("上级服务商", "Parent provider"),
    "issued": ("出账时间", "Issued"),
    "currency": ("币种", "Currency"),
    "CNY": ("人民币（元）", "CNY (yuan)"),
    "opening": ("期初余额", "Opening balance"),
    "paid_in": ("本期存入", "Paid in"),
    "charged": ("本期费用", "Charges"),
    "closing": ("期末余额", "Closing balance"),
    "arrears": ("期末余额（欠费）", "Closing balance (arrears)"),
    "account": ("账户收支", "Account"),
    "item": ("项目", "Item"),
    "count": ("笔数", "Count"),
    "chart_customer": ("每日通话费（元）", "Call charges by day (yuan)"),
    "chart_provider": ("客户每日通话费（元）", "Customers' call charges by day (yuan)"),
    "chart_peak": ("最高", "peak"),
    "vat": ("其中增值税（价格均含税）", "VAT included in the charges"),
    "vat_rate": ("税率", "Rate"),
    "gross": ("含税金额", "Gross"),
    "net": ("不含税金额", "Net"),
    "tax": ("税额", "VAT"),
    "numbers": ("号码汇总", "Numbers"),
    "number": ("号码", "Number"),
    "class": ("类别", "Class"),
    "plan": ("套餐", "Plan"),
    "rate": ("单价", "Rate"),
    "per_min": ("元/分钟", "yuan/min"),
    "from_day": ("自{day}起", "from {day}"),
    "state": ("状态", "State"),
    "calls": ("通话", "Calls"),
    "calls_unit": ("次", "calls"),
    "answered": ("接通", "Answered"),
    "answered_short": ("接通", "Ans."),
    "minutes": ("计费分钟", "Billed min"),
    "minutes_short": ("分钟", "Min"),
    "call_charges": ("通话费", "Charges"),
    "minimum": ("最低消费", "Minimum"),
    "top_up": ("补足", "Top-up"),
    "other": ("迟到与调整", "Adjusted"),
    "total": ("合计", "Total"),
    "credits": ("预存话费明细", "Credit"),
    "valid": ("有效期", "Valid"),
    "before": ("期初", "Opening"),
    "paid": ("存入", "Paid in"),
    "drawn": ("抵扣", "Used"),
    "expired": ("清零", "Expired"),
    "after": ("期末", "Closing"),
    "entries": ("收支明细", "Postings"),
    "time": ("时间", "Time"),
    "posting": ("凭证", "Posting"),
    "note": ("备注", "Note"),
    "amount": ("金额", "Amount"),
    "how": ("最低消费的计算", "How the minimum was calculated"),
    "rule": ("规则", "Rule"),
    "rerating": ("重新批价", "Re-rating"),
    "by_day": ("每日通话", "Calls by day"),
    "day": ("日期", "Day"),
    "no_calls": ("本月没有通话。", "No calls this month."),
    "details": ("通话详单", "Call details"),
    "late": ("迟到话单", "Late calls"),
    "late_note": (
        "往月账单出具后才送达的话单，计入本账单；当月已收的补足相应冲抵（R-MIN-7）。",
        "Calls received after their month was closed: billed here, and that month's top-up reversed accordingly (R-MIN-7).",
    ),
    "continued": ("（续）", " (continued)"),
    "begin": ("开始", "Start"),
    "caller": ("主叫号码", "Caller"),
    "area": ("归属地", "Area"),
    "duration": ("时长", "Duration"),
    "fee": ("话费", "Fee"),
    "adjustment": ("冲抵", "Reversed"),
    "unanswered": ("未接", "unanswered"),
    "withheld": ("未显示", "withheld"),
    "own_customers": ("直属客户", "own customers"),
    "customers": ("客户费用", "Customers' charges"),
    "customers_note": (
        "由各客户自行支付，列此供核对，不计入本账户。",
        "Payable by the customers themselves; shown for information, not part of this account.",
    ),
    "customer_name": ("客户", "Name"),
    "number_count": ("号码数", "Numbers"),
    "feature_fees": ("附加功能费", "Feature fees"),
    "feature": ("功能", "Feature"),
    "dispute": ("争议", "Dispute"),
    "day_total": ("当日合计", "Day total"),
    "fines": ("罚款", "Fines"),
    "notice": ("通知日", "Notice"),
    "due": ("缴纳期限", "Due"),
    "paid_on": ("缴纳日", "Paid"),
    "unpaid": ("未缴", "unpaid"),
    "reason": ("事由", "Reason"),
    "subtotal": ("小计", "Subtotal"),
    "basis": (
        "本账单由总账生成：话单 {calls_seq} 条、业务记录 {events_seq} 条，链首 {chain_head}。",
        "Prepared from the first {calls_seq} call rows and {events_seq} event rows of the ledger, chain head {chain_head}.",
    ),
    "page": ("第 {page} 页，共 {pages} 页", "Page {page} of {pages}"),
    "nothing": ("无", "none"),
}

_WEEKDAYS = {"zh": "一二三四五六日", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


def words(language: str) -> Mapping[str, str]:
    """The statement's own words in a language of LANGUAGES."""
    return _WORDS[language]


def line_word(kind: str, language: str) -> str:
    """What a kind of line or posting is called."""
    return _in(_LINES, kind, language)


def vat_word(kind: str, language: str) -> str:
    """As `line_word`, in the table of VAT: there calls are all that are billed, late ones of earlier months too."""
    return _in({**_LINES, "call": ("通话费", "Calls")}, kind, language)


def pot_word(pot: str, language: str) -> str:
    return _in(_POTS, pot, language)


def list_word(value: str, language: str) -> str:
    """A class, state, tag, feature, cause of a fine or outcome of a dispute; one that is not known here stands as it is."""
    return _in(_LISTS, value, language)


def weekday(index: int, language: str) -> str:
    """Monday is 0."""
    return ("周" if language == "zh" else "") + _WEEKDAYS[language][index]


def _in(table: Mapping[str, tuple[str, str]], word: str, language: str) -> str:
    pair = table.get(word)
    return word if pair is None else pair[LANGUAGES.index(language)]


_WORDS = {name: {word: pair[at] for word, pair in _PAGE.items()} for at, name in enumerate(LANGUAGES)}
