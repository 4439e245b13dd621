package contract_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// webhook is the input of a usual delivery: 20 header fields and 5 settings.
func webhook() *contract.ReceiveInput {
	in := &contract.ReceiveInput{
		Delivery: contract.Delivery{
			ID: "dlv_01JAB3N5Q7S9V2X4Z6B8D0F2H4", ReceivedAt: time.Date(2026, 1, 31, 9, 30, 0, 125e6, time.UTC),
			Method: "POST", Path: "/hook", Query: "v=2&sig=0123456789abcdef", BodyBytes: 1789,
		},
		Connection: contract.Connection{
			ID: "con_01JAB3N5Q7S9V2X4Z6B8D0F2H4", Workspace: "wsp_01JAB3N5Q7S9V2X4Z6B8D0F2H4", Name: "Support", State: contract.StateConnected,
			Settings: map[string]string{"company_url": "https://acme.example", "outcome_policy": "auto", "html": "auto", "file_url_key": "URL", "failure_notice": "true"},
		},
	}
	for range 20 {
		in.Delivery.Headers = append(in.Delivery.Headers, contract.Header{Name: "X-Forwarded-Something", Value: "203.0.113.7, 198.51.100.21"})
	}
	return in
}

func BenchmarkCodec(b *testing.B) {
	in := webhook()
	document := contract.Marshal(in)
	b.Run("Marshal", func(b *testing.B) {
		for b.Loop() {
			contract.Marshal(in)
		}
	})
	b.Run("Unmarshal", func(b *testing.B) {
		for b.Loop() {
			if err := contract.Unmarshal(document, new(contract.ReceiveInput)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding_json_Marshal", func(b *testing.B) {
		for b.Loop() {
			if _, err := json.Marshal(in); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding_json_Unmarshal", func(b *testing.B) {
		for b.Loop() {
			if err := json.Unmarshal(document, new(contract.ReceiveInput)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
