package config_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/host/config"
)

func load(t *testing.T, yaml string, env []string, flags map[string]any) (config.Config, error) {
	t.Helper()
	opts := config.Options{Env: append([]string{"HOME=/nowhere"}, env...), Flags: flags}
	if yaml != "" {
		opts.File = filepath.Join(t.TempDir(), "patchbay.yaml")
		if err := os.WriteFile(opts.File, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(opts)
}

func TestDefaultsAreValidAndDocumented(t *testing.T) {
	c, err := load(t, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != config.Production || c.Plugins.AutoApprove || c.Ingress.MaxBodyBytes != 1<<20 || c.Receive.Deadline != 2500*time.Millisecond {
		t.Errorf("the defaults are %+v", c)
	}
	for _, f := range config.Describe() {
		if f.Desc == "" || f.Allowed == "" || strings.Contains(f.Allowed, " to ") && (strings.HasPrefix(f.Allowed, " ") || strings.HasSuffix(f.Allowed, " ")) {
			t.Errorf("%s is not documented: %+v", f.Name, f)
		}
	}
}

func TestLaterSourcesWin(t *testing.T) {
	c, err := load(t, "jobs: {workers: 3, max_attempts: 4, max_age: 2h}\nlog: {level: debug}",
		[]string{"PATCHBAY_JOBS_MAX_ATTEMPTS=5", "PATCHBAY_JOBS_MAX_AGE=3h", "PATCHBAY_TOKEN=not-ours", "PATCHBAY_URL=http://x"},
		map[string]any{"jobs.max_age": "4h"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Jobs.Workers != 3 || c.Jobs.MaxAttempts != 5 || c.Jobs.MaxAge != 4*time.Hour || c.Log.Level != "debug" {
		t.Errorf("got %+v", c.Jobs)
	}
}

func TestDevelopmentModeSetsAutoApprove(t *testing.T) {
	c, err := load(t, "", nil, map[string]any{"mode": "development"})
	if err != nil || !c.Plugins.AutoApprove {
		t.Errorf("auto_approve is %v, %v", c.Plugins.AutoApprove, err)
	}
}

func TestBoundsThatDependOnOthersAreFilledIn(t *testing.T) {
	c, err := load(t, "", nil, map[string]any{"receive.deadline": "8s", "ingress.max_in_flight": "100"})
	if err != nil || c.Ingress.MaxTime != 16*time.Second || c.Ingress.MaxWaiting != 400 || c.Limits.DeliveriesInFlight != 75 {
		t.Errorf("got %+v %+v, %v", c.Ingress, c.Limits, err)
	}
	c, err = load(t, "", nil, nil)
	if err != nil || c.Ingress.MaxTime != 10*time.Second || c.Ingress.MaxInFlight < 128 || c.Limits.DeliveriesInFlight < 64 {
		t.Errorf("by default: %+v %+v, %v", c.Ingress, c.Limits, err)
	}
}

func TestEveryProblemIsNamedAtOnce(t *testing.T) {
	_, err := load(t, "ingress: {listen: nowhere, max_body_bytes: 12, public_url: 'https://x/y'}\njobs: {worker: 3}\nplugins: {auto_approve: maybe}",
		[]string{"PATCHBAY_LOG_LEVEL=loud", "PATCHBAY_INGRES_LISTEN=:1"}, map[string]any{"receive.deadline": "soon", "command.deadline": "1h"})
	if err == nil {
		t.Fatal("nothing was wrong")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		`ingress.listen is "nowhere" (from file `,
		`ingress.max_body_bytes is "12" (from file `,
		`it is out of range; allowed: 1024 to 67108864`,
		`ingress.public_url is "https://x/y" (from file `,
		`jobs.worker is "3" (from file `,
		`there is no such field; allowed: did you mean jobs.workers (PATCHBAY_JOBS_WORKERS)?`,
		`plugins.auto_approve is "maybe" (from file `,
		`log.level is "loud" (from the environment): it is not one of the values; allowed: debug or info or warn or error`,
		`PATCHBAY_INGRES_LISTEN is ":1" (from the environment): there is no such field; allowed: did you mean ingress.listen`,
		`receive.deadline is "soon" (from a flag): it is not a duration`,
		`command.deadline is "1h" (from a flag): it is out of range; allowed: 100ms to 10m`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the problems lack %q:\n%s", want, err)
		}
	}
	if len(lines) != 9 {
		t.Errorf("there are %d problems, want 9:\n%s", len(lines), err)
	}
	var problem *config.Problem
	if !errors.As(err, &problem) {
		t.Error("a problem cannot be matched by its type")
	}
}

func TestFieldsAreCheckedAgainstEachOther(t *testing.T) {
	for _, tt := range []struct {
		name, blamed string
		flags        map[string]any
	}{
		{"delays", "jobs.base_delay", map[string]any{"jobs.base_delay": "10m"}},
		{"delays of subscribers", "subscribers.base_delay", map[string]any{"subscribers.base_delay": "10m", "subscribers.max_delay": "1m"}},
		{"timeouts", "egress.default_timeout", map[string]any{"egress.max_timeout": "1s"}},
		{"deadline and time", "receive.deadline", map[string]any{"receive.deadline": "2s", "ingress.max_time": "1s"}},
		{"addresses", "management.listen", map[string]any{"management.listen": "127.0.0.1:8080"}},
		{"deadline and timeout", "receive.deadline", map[string]any{"receive.deadline": "2s", "ingress.write_timeout": "1s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, "", nil, tt.flags)
			problem := new(config.Problem)
			if !errors.As(err, &problem) || problem.Name != tt.blamed {
				t.Errorf("Load = %v, want that it blames %s", err, tt.blamed)
			}
		})
	}
	if _, err := load(t, "", nil, map[string]any{"management.listen": "127.0.0.1:0", "ingress.listen": "127.0.0.1:0"}); err != nil {
		t.Errorf("two free ports: %v", err)
	}
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	if _, err := config.Load(config.Options{File: "/nowhere/patchbay.yaml"}); err == nil || !strings.Contains(err.Error(), "/nowhere/patchbay.yaml") {
		t.Errorf("Load = %v", err)
	}
	if _, err := load(t, "jobs: [", nil, nil); err == nil {
		t.Error("broken YAML was accepted")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("jobs: {workers: 3}", "PATCHBAY_LOG_LEVEL=debug")
	f.Add("ingress: [1, 2]", "PATCHBAY_X")
	f.Fuzz(func(t *testing.T, yaml, env string) {
		c, err := load(t, yaml, []string{env}, nil)
		if err == nil && (c.Jobs.Workers < 1 || c.Jobs.Workers > 1024 || c.Ingress.MaxBodyBytes < 1024) {
			t.Errorf("Load(%q, %q) accepted %+v", yaml, env, c)
		}
	})
}

func TestRetentionMustNotForgetWhatItKeeps(t *testing.T) {
	for _, tt := range []struct {
		name, yaml, blamed string
	}{
		{"keys forgotten before deliveries", "retention: {event_days: 90, dedupe_days: 30}", "retention.dedupe_days"},
		{"keys forgotten while deliveries stay for ever", "retention: {event_days: -1, dedupe_days: 30}", "retention.dedupe_days"},
		{"everything removed at once", "retention: {payload_days: 0}", "retention"},
		{"all kept for ever", "retention: {payload_days: -1, event_days: -1, dedupe_days: -1}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.yaml, nil, nil)
			got := new(config.Problem)
			if errors.As(err, &got); got.Name != tt.blamed {
				t.Errorf("Load blames %q (%v), want %q", got.Name, err, tt.blamed)
			}
		})
	}
}

func TestAddressesToDialAreAListOrOneText(t *testing.T) {
	want := map[string]string{"api.acme.test:443": "127.0.0.1:8443", "keys.acme.test:443": "[::1]:9"}
	const text = "api.acme.test:443=127.0.0.1:8443, keys.acme.test:443=[::1]:9"
	for _, tt := range []struct {
		name, yaml string
		env        []string
	}{
		{"a list", "egress: {resolve: ['api.acme.test:443=127.0.0.1:8443', 'keys.acme.test:443=[::1]:9']}", nil},
		{"a text", "egress: {resolve: '" + text + "'}", nil},
		{"the environment", "", []string{"PATCHBAY_EGRESS_RESOLVE=" + text}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := load(t, tt.yaml, tt.env, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := config.ParseTargets(c.Egress.Resolve); err != nil || !maps.Equal(got, want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		})
	}
	for _, bad := range []string{"api.acme.test=127.0.0.1:1", "api.acme.test:443=localhost:1", "api.acme.test:443", "API.acme.test:443=127.0.0.1:1",
		":443=127.0.0.1:1", "a.test:0=127.0.0.1:1", "a.test:1=127.0.0.1:1,a.test:1=127.0.0.1:2"} {
		if _, err := load(t, "", []string{"PATCHBAY_EGRESS_RESOLVE=" + bad}, nil); err == nil || !strings.Contains(err.Error(), "HOST:PORT=IP:PORT") {
			t.Errorf("%s: %v, want that it says what is right", bad, err)
		}
	}
	if _, err := load(t, "egress: {resolve: [7]}", nil, nil); err == nil {
		t.Error("a list of numbers was taken")
	}
	if _, err := load(t, "ingress: {listen: ['127.0.0.1:1']}", nil, nil); err == nil {
		t.Error("a list was taken where one value belongs")
	}
}
