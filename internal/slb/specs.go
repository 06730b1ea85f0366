package slb

import "slices"

// specs are the performance specifications from weak to strong. Newer clients
// know more than these.
var specs = []string{
	"slb.s1.small", "slb.s2.small", "slb.s2.medium", "slb.s3.small", "slb.s3.medium", "slb.s3.large", "slb.s3.xlarge", "slb.s3.xxlarge",
}

// WeakerSpec reports whether a is known to be weaker than b. Shared performance,
// which is no specification, is weaker than all.
func WeakerSpec(a, b string) bool {
	i, j := slices.Index(specs, a), slices.Index(specs, b)
	return a == "" && b != "" || i >= 0 && j >= 0 && i < j
}
