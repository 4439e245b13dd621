package main

import (
	"strconv"
	"time"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// learningWindow is how long deliveries may pin how UChat signs, from the moment that UChat
// verified the webhook.
const learningWindow = 10 * time.Minute

// ready says in which state a connection is whose webhook UChat has verified, opens the
// window for learning if there is something to learn, and asks to look when it closes.
func ready(h pdk.Host, set settings, now time.Time) (contract.StateChange, []contract.CommandRequest, error) {
	change, open, err := readiness(h, set, now)
	if err != nil || open {
		return change, nil, err
	}
	until := now.Add(learningWindow).UnixMilli()
	if err := h.KVPut(contract.KVPut{Key: keyLearning, Value: learning{until: until}.encode()}); err != nil {
		return change, nil, err
	}
	return learns, []contract.CommandRequest{{
		AfterMillis: learningWindow.Milliseconds() + 1, Payload: workLearned + " " + strconv.FormatInt(until, 10),
	}}, nil
}

// readiness says in which state a verified connection is, and whether messages come through.
func readiness(h pdk.Host, set settings, now time.Time) (change contract.StateChange, open bool, err error) {
	switch set.signatureMode() {
	case modeOpen:
		return contract.StateChange{
			State: contract.StateConnected, Code: "secret_path_only",
			Reason: "UChat verified the webhook. Warning: signatures are not checked, so whoever knows the webhook's URL can speak as the bot.",
		}, true, nil
	case modeEnforce:
		return connected("UChat verified the webhook; signatures are checked as the settings say."), true, nil
	}
	pin, found, err := loadPin(h)
	if err != nil {
		return contract.StateChange{}, false, err
	}
	if found {
		return connected("UChat verified the webhook; signatures are checked as learned: " + pin.words() + "."), true, nil
	}
	window, _, err := loadLearning(h)
	if err == nil && now.UnixMilli() >= window.until {
		return unlearned(window.names), false, nil
	}
	return learns, false, err
}

// learns is the state of a connection whose window is open.
var learns = contract.StateChange{
	State: contract.StateConnecting, Code: "learning",
	Reason: "UChat verified the webhook. Now send one message from the bot within 10 minutes, so that it can be learned how " +
		"UChat signs; messages of customers go out already, and what comes in is kept until then.",
}

func connected(reason string) contract.StateChange {
	return contract.StateChange{State: contract.StateConnected, Code: "verified", Reason: plain.Clip(reason, contract.MaxNameBytes)}
}

// unlearned is the state of a connection whose window closed without a pin.
func unlearned(names string) contract.StateChange {
	reason := "No message from UChat has shown how it signs."
	if names != "" {
		reason += " Of the header fields that came, none held a signature that fits exactly one way: " + names + "."
	}
	return contract.StateChange{
		State: contract.StateNeedsAction, Code: "signature_unknown", Reason: plain.Clip(reason, contract.MaxNameBytes),
		Action: "Save the connection's settings again, which opens another 10 minutes, and send one message from the bot; or choose " +
			"the signature in the settings with signature_mode enforce.",
	}
}
