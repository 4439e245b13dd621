package pdktest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/pdktest"
)

// answering is a connector that answers every delivery alike.
type answering struct {
	out *contract.ReceiveOutput
	err error
}

func (a answering) Receive(pdk.Host, *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	return a.out, a.err
}

// complaints is a test that takes note of its failures.
type complaints struct {
	testing.TB
	said string
}

func (c *complaints) Helper()                           {}
func (c *complaints) Errorf(format string, args ...any) { c.said += fmt.Sprintf(format, args...) }

func TestInvokeHoldsTheAnswerAgainstTheContract(t *testing.T) {
	for _, tt := range []struct {
		name      string
		connector answering
		want      string
	}{
		{"a sound answer", answering{out: &contract.ReceiveOutput{Response: contract.Response{Status: 204}}}, ""},
		{"a status that there is not", answering{out: &contract.ReceiveOutput{Response: contract.Response{Status: 99}}}, "against the contract"},
		{"an error", answering{err: errors.New("out of paper")}, "receive: out of paper"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, out := &complaints{TB: t}, new(contract.ReceiveOutput)
			in := &contract.ReceiveInput{Delivery: contract.Delivery{ID: "dlv_1", Method: "POST"}, Connection: contract.Connection{ID: "con_1"}}
			pdktest.Invoke(c, tt.connector, nil, contract.ExportReceive, in, out)
			if !strings.Contains(c.said, tt.want) || (tt.want == "") != (c.said == "") {
				t.Errorf("Invoke said %q, want %q", c.said, tt.want)
			}
			if tt.want == "" && out.Response.Status != 204 {
				t.Errorf("the answer came back as %+v", out)
			}
		})
	}
}
