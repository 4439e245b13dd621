package telemetry

import "github.com/prometheus/client_golang/prometheus"

// retention is what is counted of the removal of old data.
type retention struct{ removed, bytes, passes *prometheus.CounterVec }

func newRetention() retention {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "patchbay", Name: name, Help: help}, []string{label})
	}
	return retention{
		removed: counter("retention_removed_total", "Records and files that were removed because they were too old or too many.", "room"),
		bytes:   counter("retention_bytes_total", "Bytes of payload and of files that were removed.", "room"),
		passes:  counter("retention_passes_total", "Passes of retention, by whether they came to their end.", "outcome"),
	}
}

// Swept counts records of a room, or files, that were removed, and their bytes.
func (m *Metrics) Swept(room string, removed int, bytes int64) {
	m.retention.removed.WithLabelValues(room).Add(float64(removed))
	m.retention.bytes.WithLabelValues(room).Add(float64(bytes))
}

// RetentionPass counts a pass of retention.
func (m *Metrics) RetentionPass(complete bool) {
	outcome := "complete"
	if !complete {
		outcome = "broken_off"
	}
	m.retention.passes.WithLabelValues(outcome).Inc()
}
