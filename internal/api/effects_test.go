package api

// effect is what a parameter does when it does not simply work. The prose for
// users is docs/divergences.md; the table here is what docs/actions.md is made
// from.
type effect string

const (
	works       effect = "works"
	storedOnly  effect = "stored only"  // checked, kept, told in answers
	checkedOnly effect = "checked only" // not even kept
	passedOver  effect = "passed over"  // any value, no effect, not told
	refused     effect = "refused"
	absent      effect = "missing"
)

const (
	nothingBilled = "nothing is billed"
	justNames     = "zones and groups are names here"
	consoleOnly   = "it binds the console alone"
	notYet        = "the data plane does not enforce it yet"
)

// effects lists every parameter that does less than its page says. "*" stands
// for all actions that have the parameter and no row of their own.
var effects = []struct {
	action, param string
	effect        effect
	reason        string
}{
	{"*", "AutoPay", checkedOnly, nothingBilled},
	{"*", "Duration", checkedOnly, nothingBilled},
	{"*", "PricingCycle", checkedOnly, nothingBilled},
	{"*", "AcceptLanguage", passedOver, "names are the same in every language"},
	{"CreateLoadBalancer", "PayType", storedOnly, nothingBilled},
	{"CreateLoadBalancer", "InternetChargeType", storedOnly, nothingBilled},
	{"CreateLoadBalancer", "InstanceChargeType", storedOnly, nothingBilled},
	{"CreateLoadBalancer", "MasterZoneId", storedOnly, justNames},
	{"CreateLoadBalancer", "SlaveZoneId", storedOnly, justNames},
	{"CreateLoadBalancer", "ModificationProtectionStatus", storedOnly, consoleOnly},
	{"CreateLoadBalancer", "ModificationProtectionReason", storedOnly, consoleOnly},
	{"SetLoadBalancerModificationProtection", "ModificationProtectionStatus", storedOnly, consoleOnly},
	{"SetLoadBalancerModificationProtection", "ModificationProtectionReason", storedOnly, consoleOnly},

	{"ModifyLoadBalancerInstanceChargeType", "InstanceChargeType", storedOnly, nothingBilled},
	{"ModifyLoadBalancerInstanceChargeType", "Bandwidth", passedOver, nothingBilled},
	{"ModifyLoadBalancerInternetSpec", "InternetChargeType", storedOnly, nothingBilled},
	{"ModifyLoadBalancerPayType", "PayType", storedOnly, nothingBilled},
	{"MoveResourceGroup", "NewResourceGroupId", storedOnly, justNames},
	{"MoveResourceGroup", "ResourceGroupId", passedOver, justNames},
	{"MoveResourceGroup", "access_key_id", passedOver, "the key is AccessKeyId"},
	{"SetAccessLogsDownloadAttribute", "Tags", checkedOnly, "no page says what they do"},
	{"DeleteAccessLogsDownloadAttribute", "Tags", checkedOnly, "no page says what they do"},
	{"EnableHighDefinationMonitor", "LogProject", storedOnly, "there is no log service here"},
	{"EnableHighDefinationMonitor", "LogStore", storedOnly, "there is no log service here"},
	{"EnableHighDefinationMonitor", "Tags", checkedOnly, "no page says what they do"},
	{"ModifyHighDefinationMonitor", "LogProject", storedOnly, "there is no log service here"},
	{"ModifyHighDefinationMonitor", "LogStore", storedOnly, "there is no log service here"},
	{"DescribeHighDefinationMonitor", "Tags", checkedOnly, "no page says what they do"},

	{"SetLoadBalancerTCPListenerAttribute", "SynProxy", storedOnly, "on for good: servers hear of a client only after its hand-shake"},

	{"UploadServerCertificate", "AliCloudCertificateId", storedOnly, "there is no certificate service here; refused without certificate and key"},
	{"UploadServerCertificate", "AliCloudCertificateName", storedOnly, "there is no certificate service here"},
	{"UploadServerCertificate", "AliCloudCertificateRegionId", storedOnly, "there is no certificate service here"},
}

// omitted lists the fields of answers that are left out, by action and path; "*"
// stands for all actions.
var omitted = []struct{ action, path, reason string }{
	{"*", "OrderId", "there are no orders"},
	{"DescribeLoadBalancerHTTPListenerAttribute", "SecurityStatus", "belongs to another product"},
	{"DescribeLoadBalancerHTTPSListenerAttribute", "SecurityStatus", "belongs to another product"},
	{"DescribeLoadBalancerAttribute", "AutoReleaseTime", "of subscriptions"},
	{"DescribeLoadBalancerAttribute", "RenewalCycUnit", "of subscriptions"},
	{"DescribeLoadBalancerAttribute", "RenewalDuration", "of subscriptions"},
	{"DescribeLoadBalancerAttribute", "RenewalStatus", "of subscriptions"},
}

// unread are fields with a param tag that no code looks at, beside those of
// effects: what is inside a parameter that is refused as a whole.
var unread = []string{"StartPort", "EndPort"}
