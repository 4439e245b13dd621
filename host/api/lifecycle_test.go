package api_test

import (
	"io"
	"strings"
	"testing"
)

func TestRetentionIsSetWhole(t *testing.T) {
	h := open(t)
	got := h.do("operator", "PUT", "/v1/workspaces/wsp_1/retention", `{"payload_days":7,"max_bytes":-1}`)
	if got.status != 200 || !strings.Contains(got.body, `"own":{"payload_days":7,"max_bytes":-1}`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if calls := h.called(); len(calls) != 1 || !strings.HasPrefix(calls[0], "keep wsp_1 for 7 0 0 -1 by ") {
		t.Errorf("did %q", calls)
	}
	for _, body := range []string{`{"payload_days":-2}`, `{"event_days":90,"dedupe_days":30}`, `{"days":1}`} {
		if got := h.do("operator", "PUT", "/v1/workspaces/wsp_1/retention", body); got.status != 422 {
			t.Errorf("%s gave %d %s", body, got.status, got.body)
		}
	}
}

func TestRetentionOnePassAtATime(t *testing.T) {
	h := open(t)
	if got := h.do("operator", "POST", "/v1/retention/run", ""); got.status != 200 || !strings.Contains(got.body, `{"room":"events","removed":3,"bytes":0}`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
	h.busy = true
	h.do("operator", "POST", "/v1/retention/run", "").problem(t, 409)
}

func TestABackupIsStreamed(t *testing.T) {
	h := open(t)
	const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	got := h.do("operator", "GET", "/v1/backup?recipient="+recipient, "")
	if got.status != 200 || got.body != "the backup" || got.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got %d %q %v", got.status, got.body, got.header)
	}
	if calls := h.called(); len(calls) != 1 || !strings.HasPrefix(calls[0], "backup for 1 by ") {
		t.Errorf("did %q", calls)
	}
	h.do("operator", "GET", "/v1/backup?recipient=me", "").problem(t, 422)
}

// A client must be able to tell a backup that broke off from one that is complete.
func TestABrokenBackupIsNotTakenForWhole(t *testing.T) {
	h := open(t)
	h.busy = true
	answer := h.start("operator", "GET", "/v1/backup", nil)
	defer func() { _ = answer.Body.Close() }()
	if content, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("%q was taken for whole", content)
	}
}
