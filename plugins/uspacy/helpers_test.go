package main

import (
	"encoding/json"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

func mustParse(t testing.TB, text string) payload.Object {
	t.Helper()
	o, err := payload.Parse([]byte(text), payload.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func sendOf(m contract.Message) contract.SendMessageInput {
	return contract.SendMessageInput{Message: m}
}

func contractID(i int) contract.ConversationID { return contract.ConversationID(strconv.Itoa(i)) }

// meaning is a JSON text in one form; false if it is none.
func meaning(text string) (string, bool) {
	var v any
	if !utf8.ValidString(text) || json.Unmarshal([]byte(text), &v) != nil {
		return "", false
	}
	form, err := json.Marshal(v)
	return string(form), err == nil
}
