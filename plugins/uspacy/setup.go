package main

import (
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// SetupConnection sets up the app, or a connection of it.
func (connector) SetupConnection(h pdk.Host, in *contract.SetupConnectionInput) (*contract.CommandOutput, error) {
	if in.Connection.IsApp {
		return setupApp(h, in)
	}
	return setupPortal(h, in)
}

// setupApp tells the operator what to register with Uspacy, and confirms the topics that the
// settings have come to allow.
func setupApp(h pdk.Host, in *contract.SetupConnectionInput) (*contract.CommandOutput, error) {
	set := settings(in.Connection.Settings)
	if problem := set.appProblem(); problem != "" {
		return &contract.CommandOutput{Failure: failed(contract.FailurePermanent, "setting_invalid", problem)}, nil
	}
	topics, err := loadTopics(h)
	if err != nil {
		return nil, err
	}
	out := &contract.CommandOutput{Setup: appSteps(topics)}
	for i, t := range topics {
		if !slices.Contains(set.topicARNs(), t.arn) || !t.wantsConfirming(set) {
			continue
		}
		topics[i].state = topicConfirming
		if err := topics[i].save(h); err != nil {
			return nil, err
		}
		out.Commands = append(out.Commands, confirmWork(t.key()))
	}
	change := appState(topics, set)
	out.Events = []contract.Event{{Kind: contract.EventConnectionState, State: &change}}
	return out, nil
}

// appSteps is what the operator gives to Uspacy, which has no form for it: its support
// registers apps by hand.
func appSteps(topics []topic) []contract.SetupStep {
	steps := []contract.SetupStep{
		{
			Label: "callback_url", Value: "{{receive_url}}",
			Help: "Part of the app's registration, which Uspacy's support enters. Uspacy appends the install and uninstall paths.",
		},
		{
			Label: "sns_subscription_url", Value: "{{receive_url}}" + pathSNS,
			Help: "Part of the same registration: where message events of all portals come in.",
		},
	}
	for _, t := range topics {
		if t.state == topicPending {
			steps = append(steps, contract.SetupStep{
				Label: "A topic asks to be confirmed", Value: t.arn,
				Help: "Ask Uspacy whether it is theirs. If so, add it to sns_topic_arns; anybody can have a topic of their own ask.",
			})
		}
	}
	return steps
}

// appProblem says what is wrong with the app's settings beyond what their types tell; empty if
// nothing is.
func (s settings) appProblem() string {
	for _, arn := range s.topicARNs() {
		if _, ok := parseARN(arn); !ok {
			return "sns_topic_arns holds what is no topic's ARN, such as arn:aws:sns:eu-central-1:111122223333:name"
		}
	}
	for _, suffix := range s.domainSuffixes() {
		if domain, ok := normalDomain(suffix); !ok || !strings.Contains(domain, ".") {
			return "portal_domain_suffixes needs domains such as uspacy.ua"
		}
	}
	for _, path := range s.eventPaths() {
		if path != "." && strings.Contains("."+path+".", "..") {
			return `event_paths needs names joined by dots, such as payload.data, or "." for the event itself`
		}
	}
	return ""
}

// teardownApp ends the app. The subscriptions are Uspacy's, so there is nobody to tell.
func teardownApp(pdk.Host, *contract.TeardownConnectionInput) (*contract.CommandOutput, error) {
	change := contract.StateChange{State: contract.StateDisconnected, Code: "torn_down", Reason: "The app was ended here."}
	return &contract.CommandOutput{Events: []contract.Event{{Kind: contract.EventConnectionState, State: &change}}}, nil
}

// checkApp tells what is known here: there is nothing of the app's own to ask Uspacy for.
func checkApp(h pdk.Host, in *contract.CheckHealthInput) (*contract.CommandOutput, error) {
	topics, err := loadTopics(h)
	if err != nil {
		return nil, err
	}
	change := appState(topics, in.Connection.Settings)
	return &contract.CommandOutput{Health: &contract.Health{
		CredentialsValid: true, CheckedAt: in.Command.CreatedAt,
		Detail: change.Reason + " This is what is known from traffic: Uspacy offers no way to ask.",
	}}, nil
}
