package telemetry

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/host/limits"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxPlugins bounds the values of the label "plugin"; further ones count as "other".
const maxPlugins = 200

// Metrics is what the host counts. No label names a tenant: see the recordings and the
// log for that. Every method is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	mu      sync.Mutex
	plugins map[string]bool

	deliveries       *prometheus.CounterVec
	deliverySeconds  *prometheus.HistogramVec
	invocations      *prometheus.HistogramVec
	invocationErrors *prometheus.CounterVec
	fuel             *prometheus.CounterVec
	hostCalls        *prometheus.CounterVec
	jobs             *prometheus.CounterVec
	egress           *prometheus.CounterVec
	egressSeconds    *prometheus.HistogramVec
	commitSeconds    prometheus.Histogram
	commitGroup      prometheus.Histogram
	pluginStates     *prometheus.GaugeVec
	requests         *prometheus.CounterVec
	notifications    *prometheus.CounterVec
	notifySeconds    prometheus.Histogram
	notifyLag        prometheus.Histogram
	bridged          *prometheus.CounterVec
	streams          prometheus.Gauge
	breakersOpen     *prometheus.GaugeVec
	breakers         *prometheus.CounterVec
	shed             *prometheus.CounterVec
	limited          *prometheus.CounterVec
	retention        retention
}

// NewMetrics makes the metrics of one host. backlog is asked at each scrape for how much of
// each kind of job waits.
func NewMetrics(backlog func() map[domain.JobKind]domain.Backlog) *Metrics {
	fine := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "patchbay", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "patchbay", Name: name, Help: help, Buckets: fine}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(), plugins: map[string]bool{},
		deliveries:       counter("deliveries_total", "Deliveries by what became of them.", "plugin", "outcome"),
		deliverySeconds:  histogram("delivery_seconds", "Time from a delivery's last byte to its answer.", "plugin"),
		invocations:      histogram("invocation_seconds", "Time of calls into plugins.", "plugin", "export"),
		invocationErrors: counter("invocation_errors_total", "Calls into plugins that failed, by kind.", "plugin", "export", "kind"),
		fuel:             counter("fuel_total", "Fuel that calls into plugins used, in units: about as many additions.", "plugin", "export"),
		hostCalls:        counter("host_calls_total", "Calls of host functions.", "plugin", "function"),
		jobs:             counter("jobs_total", "Runs of jobs by how they ended.", "kind", "outcome"),
		egress:           counter("egress_requests_total", "Requests sent out, by status or by why there was none.", "plugin", "code"),
		egressSeconds:    histogram("egress_seconds", "Time of requests sent out.", "plugin"),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "patchbay", Name: "store_commit_seconds",
			Help: "Time of store transactions, fsync included.", Buckets: fine}),
		commitGroup: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "patchbay", Name: "store_commit_group",
			Help: "Writes committed by one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		pluginStates:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "patchbay", Name: "plugins", Help: "Plugin versions by state."}, []string{"state"}),
		notifications: counter("notifications_total", "Attempts to send events to subscribers, by what came of them.", "outcome"),
		notifySeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "patchbay", Name: "notification_seconds",
			Help: "Time of attempts to send events to subscribers.", Buckets: fine}),
		notifyLag: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "patchbay", Name: "notification_lag_seconds",
			Help: "Time from an event's commit to its first attempt.", Buckets: fine}),
		requests: counter("http_requests_total", "HTTP requests by application, route and status.", "app", "route", "code"),
		bridged:  counter("bridged_total", "What bridges carried over and left out, by what became of it.", "outcome"),
		breakersOpen: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "patchbay", Name: "breakers_open",
			Help: "Destinations that are left alone because they fail."}, []string{"plugin"}),
		breakers: counter("breaker_changes_total", "Destinations that began or ceased to be left alone.", "plugin", "state"),
		streams:  prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "patchbay", Name: "event_streams", Help: "Open event streams."}),
		shed:     counter("deliveries_shed_total", "Deliveries answered 503 because there was too much to do.", "why"),
		limited:  counter("limited_total", "What was refused because a workspace reached a limit.", "limit"),
	}
	m.retention = newRetention()
	m.registry.MustRegister(m.retention.removed, m.retention.bytes, m.retention.passes)
	m.registry.MustRegister(m.deliveries, m.deliverySeconds, m.invocations, m.invocationErrors, m.fuel, m.hostCalls, m.jobs, m.egress,
		m.egressSeconds, m.commitSeconds, m.commitGroup, m.pluginStates, m.breakersOpen, m.breakers, m.requests, m.bridged, m.notifications, m.notifySeconds, m.notifyLag, m.streams, m.shed, m.limited,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &jobsCollector{backlog})
	return m
}

// Handler serves the metrics in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// plugin bounds the label: a host that has seen very many plugins stops telling them apart.
func (m *Metrics) plugin(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.plugins[name] {
		if len(m.plugins) >= maxPlugins {
			return "other"
		}
		m.plugins[name] = true
	}
	return name
}

// Delivery counts a delivery.
func (m *Metrics) Delivery(plugin, outcome string, took time.Duration) {
	plugin = m.plugin(plugin)
	m.deliveries.WithLabelValues(plugin, outcome).Inc()
	m.deliverySeconds.WithLabelValues(plugin).Observe(took.Seconds())
}

// Invocation counts a call into a plugin; failure is empty if it worked.
func (m *Metrics) Invocation(plugin string, export contract.Export, took time.Duration, fuel int64, failure string) {
	plugin = m.plugin(plugin)
	m.invocations.WithLabelValues(plugin, string(export)).Observe(took.Seconds())
	m.fuel.WithLabelValues(plugin, string(export)).Add(float64(max(0, fuel)))
	if failure != "" {
		m.invocationErrors.WithLabelValues(plugin, string(export), failure).Inc()
	}
}

// HostCall counts a call of a host function.
func (m *Metrics) HostCall(plugin string, function contract.HostFunction) {
	m.hostCalls.WithLabelValues(m.plugin(plugin), string(function)).Inc()
}

// Job counts a run of a job.
func (m *Metrics) Job(kind domain.JobKind, outcome string) {
	m.jobs.WithLabelValues(string(kind), outcome).Inc()
}

// Egress counts a request sent out: its status, or else the code of why there was none.
func (m *Metrics) Egress(plugin string, status int, code string, took time.Duration) {
	plugin = m.plugin(plugin)
	if status != 0 {
		code = strconv.Itoa(status)
	}
	m.egress.WithLabelValues(plugin, code).Inc()
	m.egressSeconds.WithLabelValues(plugin).Observe(took.Seconds())
}

// Breaker counts a destination that is left alone from now on, or not any more; again
// tells that it was before.
func (m *Metrics) Breaker(plugin string, open, again bool) {
	plugin = m.plugin(plugin)
	switch {
	case again:
		m.breakers.WithLabelValues(plugin, "still_open").Inc()
	case open:
		m.breakers.WithLabelValues(plugin, "open").Inc()
		m.breakersOpen.WithLabelValues(plugin).Inc()
	default:
		m.breakers.WithLabelValues(plugin, "closed").Inc()
		m.breakersOpen.WithLabelValues(plugin).Dec()
	}
}

// Commit counts a store transaction of group writes.
func (m *Metrics) Commit(group int, took time.Duration) {
	m.commitGroup.Observe(float64(group))
	m.commitSeconds.Observe(took.Seconds())
}

// Plugins tells how many plugin versions are in each state.
func (m *Metrics) Plugins(counts map[domain.PluginState]int) {
	for state, n := range counts {
		m.pluginStates.WithLabelValues(string(state)).Set(float64(n))
	}
}

// Bridged counts n things that a bridge did.
func (m *Metrics) Bridged(outcome string, n uint64) {
	m.bridged.WithLabelValues(outcome).Add(float64(n))
}

// Notification counts an attempt to send an event to a subscriber: what came of it, how long
// after the event's commit it began (negative if it was not the first), and its time.
func (m *Metrics) Notification(outcome string, lag, took time.Duration) {
	m.notifications.WithLabelValues(outcome).Inc()
	m.notifySeconds.Observe(took.Seconds())
	if lag >= 0 {
		m.notifyLag.Observe(lag.Seconds())
	}
}

// Request counts an HTTP request; route is the pattern, never the path.
func (m *Metrics) Request(app, route string, status int) {
	m.requests.WithLabelValues(app, route, strconv.Itoa(status)).Inc()
}

// Stream counts an event stream in, and out when the returned function is called.
func (m *Metrics) Stream() (closed func()) {
	m.streams.Inc()
	return sync.OnceFunc(m.streams.Dec)
}

// Shed counts a delivery that was turned away because there was too much to do.
func (m *Metrics) Shed(why string) { m.shed.WithLabelValues(why).Inc() }

// Limited counts what was refused because a workspace reached a limit.
func (m *Metrics) Limited(limit limits.Name) { m.limited.WithLabelValues(string(limit)).Inc() }

// jobsCollector asks for the backlog when it is scraped, so that the figures are never
// stale.
type jobsCollector struct {
	backlog func() map[domain.JobKind]domain.Backlog
}

var (
	queuedDesc = prometheus.NewDesc("patchbay_jobs_queued", "Jobs that have not ended.", []string{"kind"}, nil)
	oldestDesc = prometheus.NewDesc("patchbay_jobs_oldest_runnable_age_seconds",
		"How long the job that has waited longest past its time has waited.", []string{"kind"}, nil)
)

// Describe sends the descriptions; see prometheus.Collector.
func (c *jobsCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- queuedDesc
	ch <- oldestDesc
}

// Collect sends the figures; see prometheus.Collector.
func (c *jobsCollector) Collect(ch chan<- prometheus.Metric) {
	for kind, b := range c.backlog() {
		ch <- prometheus.MustNewConstMetric(queuedDesc, prometheus.GaugeValue, float64(b.Queued), string(kind))
		ch <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, b.OldestRunnable.Seconds(), string(kind))
	}
}
