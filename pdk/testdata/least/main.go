// Command least is the smallest connector: it compares a token and stores nothing.
package main

import (
	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type connector struct{}

func init() { pdk.Register(connector{}) }

func main() {}

func (connector) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	genuine, err := h.SecretEqual("token", in.Delivery.Query)
	if err != nil {
		return nil, err
	}
	if !genuine {
		rejection := &contract.Rejection{Code: "token_mismatch"}
		return &contract.ReceiveOutput{Response: contract.Response{Status: 401}, Rejected: rejection}, nil
	}
	h.Log(pdk.LogInfo, "delivery accepted", "delivery", string(in.Delivery.ID))
	return &contract.ReceiveOutput{Response: contract.Response{Status: 200}}, nil
}
