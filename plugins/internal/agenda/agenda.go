// Package agenda keeps what the worlds that our connectors are tested in have still to do:
// the commands that a connector asked for, each with the time that it is due at.
package agenda

import (
	"slices"
	"time"
)

// Next takes out of jobs the one that is due first, if that is at end or before. Of those
// that are due at the same time it takes the one that was added first.
func Next[J any](jobs *[]J, due func(J) time.Time, end time.Time) (next J, ok bool) {
	first := -1
	for i, job := range *jobs {
		if !due(job).After(end) && (first < 0 || due(job).Before(due((*jobs)[first]))) {
			first = i
		}
	}
	if first < 0 {
		return next, false
	}
	next = (*jobs)[first]
	*jobs = slices.Delete(*jobs, first, first+1)
	return next, true
}
