package slb

// Errors about forwarding rules.
var (
	ErrRuleNotFound      = &Error{404, "InvalidRuleId.NotFound", "Rule does not exist."}
	ErrRuleList          = &Error{400, "RuleListMalformed", "the specified parameter RuleList is unavailable."}
	ErrRuleDomain        = &Error{400, "DomainMalformed", "the specified domain in RuleList parameter is unavailable."}
	ErrRuleURL           = &Error{400, "UrlMalformed", "the specified url in RuleList parameter is unavailable."}
	ErrRuleURLNotAllowed = &Error{400, "URLNotSupport", "the URL in the rule is invalid."}
	ErrRuleExists        = &Error{400, "DomainExist", "rule with same domain and url already exists in specified vip"}
	ErrRuleQuota         = &Error{400, "TooManyRules", "the number of rules under specified vip is beyond maximum limit."}
	ErrRuleProtocol      = &Error{400, "RuleNotSupport", "Rule is not support in the tcp type listener."}
)
