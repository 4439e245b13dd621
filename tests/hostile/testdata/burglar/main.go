// Command burglar is a connector that does as it is told by what it receives: it is told to
// try what it was not granted.
package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type connector struct{}

func init() { pdk.Register(connector{}) }

func main() {}

// Receive does what the body says: a JSON list of a verb and its arguments. The response is
// what came of it.
func (connector) Receive(h pdk.Host, in *contract.ReceiveInput) (*contract.ReceiveOutput, error) {
	body, err := h.DeliveryBody()
	if err != nil {
		return nil, err
	}
	var words []string
	if err := json.Unmarshal(body, &words); err != nil {
		return nil, err
	}
	out := &contract.ReceiveOutput{Response: contract.Response{Status: 200}}
	out.Response.Body = do(h, out, words[0], append(words[1:], "", ""))
	return out, nil
}

func do(h pdk.Host, out *contract.ReceiveOutput, verb string, args []string) string {
	number, _ := strconv.Atoi(args[0])
	switch verb {
	case "put":
		return outcome("stored", h.KVPut(contract.KVPut{Key: args[0], Value: args[1]}))
	case "get":
		value, _, found, err := h.KVGet(args[0])
		return outcome(fmt.Sprint(found, " ", value), err)
	case "list":
		page, err := h.KVList(contract.KVList{Prefix: args[0], After: args[1]})
		if err != nil {
			return outcome("", err)
		}
		text, err := json.Marshal(page)
		return outcome(string(text), err)
	case "secret":
		same, err := h.SecretEqual(args[0], args[1])
		return outcome(fmt.Sprint(same), err)
	case "sign":
		mac, err := h.HMACSign(contract.HMACSign{Name: args[0], Algorithm: "sha256", Message: []byte("x")})
		return outcome(fmt.Sprintf("%x", mac), err)
	case "put, trap":
		_ = h.KVPut(contract.KVPut{Key: args[0], Value: "half done"}) // it traps in any case
		var none *contract.ReceiveOutput
		none.DedupeKey = "x"
	case "put, loop":
		_ = h.KVPut(contract.KVPut{Key: args[0], Value: "half done"}) // it loops in any case
		for {
			number++
		}
	case "loop":
		for {
			number++
		}
	case "recurse":
		return fmt.Sprint(recurse(1 << 40))
	case "much work":
		sum := uint32(1)
		for i := range number {
			sum = sum*16777619 ^ uint32(i)
		}
		return fmt.Sprint(sum)
	case "large answer":
		return strings.Repeat("x", number)
	case "many events":
		for i := range number {
			out.Events = append(out.Events, contract.Event{Kind: contract.EventMessageCreated, Conversation: &contract.Conversation{ID: "c"}, Message: &contract.Message{
				PlatformID: contract.PlatformMessageID(fmt.Sprint(i)), Conversation: contract.Conversation{ID: "c"}, SentAt: time.Now(),
				Author: contract.Author{Role: contract.RoleCustomer, Contact: contract.Contact{ID: "u"}},
				Parts:  []contract.Part{{Kind: contract.PartText, Text: &contract.Text{Plain: "flood"}}},
			}})
		}
	case "many commands":
		for i := range number {
			out.Commands = append(out.Commands, contract.CommandRequest{Payload: fmt.Sprint(i)})
		}
	case "many headers":
		for i := range number {
			out.Response.Headers = append(out.Response.Headers, contract.Header{Name: fmt.Sprint("X-", i), Value: "v"})
		}
	case "header":
		out.Response.Headers = []contract.Header{{Name: args[0], Value: args[1]}}
	case "many keys":
		for i := range number {
			if err := h.KVPut(contract.KVPut{Key: fmt.Sprint("flood/", i), Value: strings.Repeat("v", 60_000)}); err != nil {
				return outcome("", err)
			}
		}
	case "many lines":
		for i := range number {
			h.Log(pdk.LogError, "a line of a flood", "n", fmt.Sprint(i))
		}
	}
	return "done"
}

func recurse(depth int) int {
	if depth == 0 {
		return 0
	}
	return 1 + recurse(depth-1)
}

func outcome(text string, err error) string {
	if code := contract.HostErrorCode(err); code != "" {
		return "refused: " + code
	}
	if err != nil {
		return "failed: " + err.Error()
	}
	return text
}

// SendMessage makes the request that the message's text describes, and keeps what came of it
// where Receive can read it.
func (connector) SendMessage(h pdk.Host, in *contract.SendMessageInput) (*contract.CommandOutput, error) {
	var r contract.HTTPRequest
	if err := json.Unmarshal([]byte(in.Message.Parts[0].Text.Plain), &r); err != nil {
		return nil, err
	}
	answer, err := h.HTTPSend(r)
	text := outcome("", err)
	if answer != nil && err == nil {
		all, _ := json.Marshal(answer) // it came as JSON
		text = string(all)
	}
	if err := h.KVPut(contract.KVPut{Key: "loot/" + string(in.Message.ID), Value: text}); err != nil {
		return nil, err
	}
	return &contract.CommandOutput{Sent: &contract.Sent{PlatformID: contract.PlatformMessageID(in.Message.ID), Status: contract.MessageSent}}, nil
}
