package main

import (
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

func TestAStatusNamesTheMessageAndWhyItFailed(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		report     contract.StatusReport
	}{
		{"by the platform's name", "p-1 read", contract.StatusReport{PlatformID: "p-1", MessageID: "msg_1", Status: contract.MessageRead}},
		{"by ours, before the platform has one", "msg_1 failed: ELMA365 has not sent connect yet.", contract.StatusReport{MessageID: "msg_1",
			Status: contract.MessageFailed, Failure: &contract.Failure{Code: "not_connected", Message: "ELMA365 has not sent connect yet."}}},
		{"a failure without words", "msg_1 failed: gone", contract.StatusReport{MessageID: "msg_1",
			Status: contract.MessageFailed, Failure: &contract.Failure{Code: "gone"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := reported(tt.report); got != tt.want {
				t.Errorf("reported(%+v) = %q, want %q", tt.report, got, tt.want)
			}
		})
	}
}
