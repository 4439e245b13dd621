package telemetry_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/secret"
	"github.com/seed75a60ee1/patchbay/host/telemetry"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestLogsHoldNoSecrets(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			var out strings.Builder
			log, err := telemetry.NewLogger(&out, format, "info")
			if err != nil {
				t.Fatal(err)
			}
			log.Info("hello", "Access-Token", "hunter2", "who", "dana",
				slog.Group("headers", "Authorization", "Bearer hunter2"), "key", secret.New("hunter2"))
			log.With("api_key", "hunter2").WithGroup("g").Info("again", "set-cookie", "hunter2")
			log.Debug("too quiet")
			got := out.String()
			if strings.Contains(got, "hunter2") || strings.Contains(got, "too quiet") || !strings.Contains(got, "dana") ||
				strings.Count(got, secret.Redacted) != 5 {
				t.Errorf("logged:\n%s", got)
			}
		})
	}
}

func TestNewLoggerRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, tt := range []struct{ format, level, blamed string }{
		{"xml", "info", `"xml"`}, {"text", "loud", `"loud"`},
	} {
		if _, err := telemetry.NewLogger(nil, tt.format, tt.level); err == nil || !strings.Contains(err.Error(), tt.blamed) {
			t.Errorf("NewLogger(%q, %q) = %v, want that it blames %s", tt.format, tt.level, err, tt.blamed)
		}
	}
}

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	return answer.Body.String()
}

func TestMetricsSayWhatHappened(t *testing.T) {
	m := telemetry.NewMetrics(func() map[domain.JobKind]domain.Backlog {
		return map[domain.JobKind]domain.Backlog{domain.JobCommand: {Queued: 3, OldestRunnable: 90 * time.Second}}
	})
	m.Delivery("elma365", "accepted", time.Millisecond)
	m.Invocation("elma365", contract.ExportReceive, time.Millisecond, 1234, "trap")
	m.HostCall("elma365", contract.HostKVGet)
	m.Job(domain.JobCommand, "done")
	m.Egress("elma365", 200, "", time.Millisecond)
	m.Egress("elma365", 0, "denied", time.Millisecond)
	m.Commit(7, time.Millisecond)
	m.Plugins(map[domain.PluginState]int{domain.PluginApproved: 2})
	m.Request("ingress", "/in/:endpoint", 503)
	m.Swept("payload", 3, 4096)
	m.RetentionPass(true)
	m.RetentionPass(false)
	closed := m.Stream()
	got := scrape(t, m)
	for _, want := range []string{
		`patchbay_deliveries_total{outcome="accepted",plugin="elma365"} 1`,
		`patchbay_invocation_errors_total{export="receive",kind="trap",plugin="elma365"} 1`,
		`patchbay_fuel_total{export="receive",plugin="elma365"} 1234`,
		`patchbay_host_calls_total{function="kv_get",plugin="elma365"} 1`,
		`patchbay_jobs_total{kind="command",outcome="done"} 1`,
		`patchbay_egress_requests_total{code="200",plugin="elma365"} 1`,
		`patchbay_egress_requests_total{code="denied",plugin="elma365"} 1`,
		`patchbay_store_commit_group_sum 7`,
		`patchbay_plugins{state="approved"} 2`,
		`patchbay_http_requests_total{app="ingress",code="503",route="/in/:endpoint"} 1`,
		`patchbay_jobs_queued{kind="command"} 3`,
		`patchbay_jobs_oldest_runnable_age_seconds{kind="command"} 90`,
		`patchbay_event_streams 1`,
		`patchbay_retention_removed_total{room="payload"} 3`,
		`patchbay_retention_bytes_total{room="payload"} 4096`,
		`patchbay_retention_passes_total{outcome="broken_off"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	closed()
	closed()
	if got := scrape(t, m); !strings.Contains(got, "patchbay_event_streams 0\n") {
		t.Error("a stream that was closed twice is not counted out once")
	}
}

func TestTheNumberOfPluginLabelsIsBounded(t *testing.T) {
	m := telemetry.NewMetrics(func() map[domain.JobKind]domain.Backlog { return nil })
	for i := range 1000 {
		m.Delivery(fmt.Sprintf("plugin-%d", i), "accepted", 0)
	}
	got := scrape(t, m)
	if n := strings.Count(got, "patchbay_deliveries_total{"); n != 201 {
		t.Errorf("there are %d series, want 200 and one for the others", n)
	}
	if !strings.Contains(got, `patchbay_deliveries_total{outcome="accepted",plugin="other"} 800`) {
		t.Error("the plugins beyond the bound are not counted together")
	}
}
