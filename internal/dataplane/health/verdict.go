package health

import "github.com/openslb/openslb/internal/dataplane/spec"

// verdict is the state machine of one target:
//
//	unknown --(Healthy successes)-->   up
//	unknown --(Unhealthy failures)-->  down
//	up      --(Unhealthy failures)-->  down
//	down    --(Healthy successes)-->   up
//
// Only consecutive results count: one of the other kind starts anew. So a
// target goes down after Timeout*Unhealthy + Interval*(Unhealthy-1) at the
// latest, and comes up after as many answers as Healthy with Interval between
// them. Source: the vendor's health check overview.
type verdict struct {
	health spec.Health
	last   spec.Health // what the last result spoke for
	run    int         // consecutive results of that kind
}

// add takes in one result and reports whether the health changed.
func (v *verdict) add(well bool, healthy, unhealthy int) bool {
	result, need := spec.HealthDown, unhealthy
	if well {
		result, need = spec.HealthUp, healthy
	}
	if v.last != result {
		v.last, v.run = result, 0
	}
	v.run++
	if v.health == result || v.run < need {
		return false
	}
	v.health = result
	return true
}
