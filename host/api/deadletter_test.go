package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

func TestTheDeadLetterIsDecidedAboutByFilter(t *testing.T) {
	const commands, deliveries = "/v1/workspaces/wsp_1/commands/", "/v1/workspaces/wsp_1/deliveries/replay"
	for _, tt := range []struct {
		name, path, body string
		did              string
		page             domain.Page
	}{
		{"all", commands + "retry", `{"all":true}`, `retry parked of wsp_1 command  "" `, domain.Page{Limit: 1000}},
		{"some", commands + "retry", `{"connection":"con_1","code":"gone","class":"uncertain","limit":7,"after":"x"}`,
			`retry parked of wsp_1 command con_1 "gone" uncertain`, domain.Page{Limit: 7, After: "x"}},
		{"given up", commands + "cancel", `{"export":"send_message","parked_after":"2026-11-22T10:00:00Z"}`,
			"cancel parked of wsp_1 send_message since 2026-11-22", domain.Page{Limit: 1000}},
		{"deliveries", deliveries, `{"code":"plugin_trap","limit":5}`, `replay of wsp_1  "plugin_trap"`, domain.Page{Limit: 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t)
			got := h.do("admin", "POST", tt.path, tt.body)
			if got.status != http.StatusOK || !strings.Contains(got.body, `"matched":`) || !strings.Contains(got.body, `"skipped":[`) {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if calls := h.called(); !slices.Equal(calls, []string{tt.did}) || h.pages[0] != tt.page {
				t.Errorf("did %q of %+v, want %q of %+v", calls, h.pages, tt.did, tt.page)
			}
		})
	}
}

func TestNothingIsSelectedByAccident(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/v1/workspaces/wsp_1/commands/retry", "/v1/workspaces/wsp_1/commands/cancel", "/v1/workspaces/wsp_1/deliveries/replay"} {
		for _, tt := range []struct{ name, body, blamed string }{
			{"an empty filter", `{}`, "body.all"},
			{"none of all", `{"all":false}`, "body.all"},
			{"a batch of everything", `{"limit":10,"after":"x"}`, "body.all"},
			{"all, and some", `{"all":true,"connection":"con_1"}`, "body.all"},
			{"a field that is spelt wrong", `{"all":true,"conection":"con_1"}`, "body.conection"},
			{"too many at once", `{"all":true,"limit":1001}`, "body.limit"},
		} {
			got := h.do("admin", "POST", path, tt.body)
			if got.problem(t, http.StatusUnprocessableEntity); !strings.Contains(got.body, `"`+tt.blamed+`"`) {
				t.Errorf("%s with %s: %s, want %s blamed", path, tt.name, got.body, tt.blamed)
			}
		}
	}
	if calls := h.called(); len(calls) > 0 {
		t.Errorf("something was done: %q", calls)
	}
}

func TestRecordingsAreFiles(t *testing.T) {
	h := open(t)
	for _, owner := range []string{"commands/cmd_1", "deliveries/dlv_1"} {
		path := "/v1/workspaces/wsp_1/" + owner + "/recordings"
		if got := h.do("reviewer", "GET", path, ""); got.body != `{"items":[{"run":1},{"run":3}]}`+"\n" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		got := h.do("reviewer", "GET", path+"/3", "")
		if got.body != `{"export":"receive"}` || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s/3: %d %q %s", path, got.status, got.header.Get("Content-Type"), got.body)
		}
		h.do("reviewer", "GET", path+"/0", "").problem(t, http.StatusUnprocessableEntity)
		h.do("reviewer", "GET", path+"/first", "").problem(t, http.StatusUnprocessableEntity)
	}
}

func TestNotices(t *testing.T) {
	h := open(t)
	h.do("admin", "GET", "/v1/workspaces/wsp_1/notices?kind=job.parked", "")
	h.do("operator", "GET", "/v1/notices?workspace=wsp_2", "")
	if calls := h.called(); !slices.Equal(calls, []string{"notices wsp_1 job.parked", "notices wsp_2 "}) {
		t.Errorf("read %q", calls)
	}
	h.do("operator", "GET", "/v1/workspaces/wsp_nowhere/notices", "").problem(t, http.StatusNotFound)
}
