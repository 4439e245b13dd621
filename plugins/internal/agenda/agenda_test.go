package agenda

import (
	"slices"
	"testing"
	"time"
)

type job struct {
	name string
	at   time.Time
}

func due(j job) time.Time { return j.at }

func TestNextTakesWhatIsDueInOrder(t *testing.T) {
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	jobs := []job{{"c", at(3)}, {"a", at(1)}, {"b1", at(2)}, {"b2", at(2)}, {"later", at(4)}}
	var got []string
	for {
		j, ok := Next(&jobs, due, at(3))
		if !ok {
			break
		}
		got = append(got, j.name)
	}
	if want := []string{"a", "b1", "b2", "c"}; !slices.Equal(got, want) {
		t.Errorf("took %q, want %q", got, want)
	}
	if len(jobs) != 1 || jobs[0].name != "later" {
		t.Errorf("left %v, want what is due later", jobs)
	}
}
