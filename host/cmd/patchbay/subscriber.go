package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

type subscriberCommand struct {
	Create         subscriberCreate         `cmd:"" help:"Have events sent to a URL, signed. The secret is shown once."`
	List           subscriberList           `cmd:"" help:"List the subscribers of a workspace."`
	Show           subscriberShow           `cmd:"" help:"Show one subscriber, how far it is, and why it fails if it does."`
	Update         subscriberUpdate         `cmd:"" help:"Change the name, the URL or what is sent."`
	Remove         subscriberRemove         `cmd:"" help:"Send nothing more, and cancel what waits."`
	Enable         subscriberEnable         `cmd:"" help:"Send events again, from where it stopped."`
	Pause          subscriberPause          `cmd:"" help:"Send nothing for now. What comes meanwhile waits."`
	Test           subscriberTest           `cmd:"" help:"Send a test event and show what came of it. If it is taken, what waits is sent at once."`
	RotateSecret   subscriberRotateSecret   `cmd:"" help:"Make a new secret. The old one signs beside it for a while."`
	Rewind         subscriberRewind         `cmd:"" help:"Send events again, from one on."`
	Waiting        subscriberWaiting        `cmd:"" help:"List the events that it did not take at once."`
	Retry          subscriberRetry          `cmd:"" help:"Send again what was given up. What waits for its next attempt is not touched; see test."`
	PrivateTargets subscriberPrivateTargets `cmd:"" help:"Set which private addresses it may be at."`
}

// oneSubscriber names a subscriber of a workspace.
type oneSubscriber struct {
	inWorkspace
	ID domain.SubscriberID `arg:"" help:"The subscriber."`
}

type subscriberCreate struct {
	inWorkspace
	onceFlag
	Name          string                  `required:"" help:"What people call it."`
	To            string                  `required:"" placeholder:"URL" help:"Where to send events: https, or plain http to a private target."`
	Kind          []contract.EventKind    `sep:"none" placeholder:"KIND" help:"Send events of this kind only, such as message.created; repeat for more."`
	Connection    []contract.ConnectionID `sep:"none" placeholder:"ID" help:"Send events of this connection only; repeat for more."`
	After         *uint64                 `placeholder:"SEQ" help:"Begin after this sequence number; 0 begins with the oldest event kept. Without it, only what comes from now on is sent."`
	PrivateTarget []string                `sep:"none" placeholder:"IP:PORT" help:"A private address that it may be at; repeat for more. For operators only."`
}

func (c *subscriberCreate) Run(ctx context.Context, s *session) error {
	made, err := s.connect().CreateSubscriber(c.named(ctx), c.Workspace, client.NewSubscriber{Name: c.Name, URL: c.To, Kinds: c.Kind,
		Connections: c.Connection, After: c.After, PrivateTargets: c.PrivateTarget})
	if err != nil {
		return err
	}
	return s.show(made, func() {
		showSubscriber(s, made)
		fmt.Fprintf(s.stderr, "the secret is not shown again; to see whether events arrive: patchbay subscriber test %s\n", clean(string(made.ID)))
	})
}

type subscriberList struct {
	inWorkspace
	pageFlags
}

func (c *subscriberList) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Subscribers(ctx, c.Workspace, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Subscriber]{"id", func(s client.Subscriber) string { return string(s.ID) }},
		column[client.Subscriber]{"name", func(s client.Subscriber) string { return s.Name }},
		column[client.Subscriber]{"state", func(s client.Subscriber) string { return string(s.State) }},
		column[client.Subscriber]{"behind", func(s client.Subscriber) string { return strconv.FormatUint(s.Behind, 10) }},
		column[client.Subscriber]{"queued", func(s client.Subscriber) string { return strconv.Itoa(s.Queued) }},
		column[client.Subscriber]{"parked", func(s client.Subscriber) string { return strconv.Itoa(s.Parked) }},
		column[client.Subscriber]{"failing since", func(s client.Subscriber) string { return when(s.FailingSince) }},
		column[client.Subscriber]{"last taken", func(s client.Subscriber) string { return when(s.LastTakenAt) }},
	)
}

type subscriberShow struct{ oneSubscriber }

func (c *subscriberShow) Run(ctx context.Context, s *session) error {
	found, err := s.connect().Subscriber(ctx, c.Workspace, c.ID)
	return s.subscriber(found, err)
}

// subscriber prints a subscriber that a request answered.
func (s *session) subscriber(found client.Subscriber, err error) error {
	if err != nil {
		return err
	}
	return s.show(found, func() { showSubscriber(s, found) })
}

func showSubscriber(s *session, v client.Subscriber) {
	failure := ""
	if v.LastFailure != nil {
		failure = v.LastFailure.Code + " " + v.LastFailure.Message + " (" + when(v.LastFailedAt) + ")"
	}
	printFields(s.stdout,
		field{"id", string(v.ID)}, field{"workspace", string(v.Workspace)}, field{"name", v.Name}, field{"url", v.URL},
		field{"secret", v.Secret}, field{"kinds", joined(v.Kinds)}, field{"connections", joined(v.Connections)},
		field{"private targets", strings.Join(v.PrivateTargets, ", ")},
		field{"state", string(v.State)}, field{"reason", v.StateReason},
		field{"cursor", strconv.FormatUint(v.Cursor, 10)}, field{"behind", strconv.FormatUint(v.Behind, 10)},
		field{"queued", strconv.Itoa(v.Queued)}, field{"parked", strconv.Itoa(v.Parked)},
		field{"failures", strconv.Itoa(v.Failures)}, field{"failing since", when(v.FailingSince)}, field{"last failure", failure},
		field{"last taken", when(v.LastTakenAt)}, field{"created", when(v.CreatedAt)}, field{"updated", when(v.UpdatedAt)},
	)
}

func joined[S ~string](words []S) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

type subscriberUpdate struct {
	oneSubscriber
	Name           *string                 `help:"A new name."`
	To             *string                 `placeholder:"URL" help:"A new URL."`
	Kind           []contract.EventKind    `sep:"none" placeholder:"KIND" help:"Send events of this kind only; repeat for more."`
	AllKinds       bool                    `help:"Send events of all kinds."`
	Connection     []contract.ConnectionID `sep:"none" placeholder:"ID" help:"Send events of this connection only; repeat for more."`
	AllConnections bool                    `help:"Send events of all connections."`
}

func (c *subscriberUpdate) Run(ctx context.Context, s *session) error {
	patch := client.SubscriberPatch{Name: c.Name, URL: c.To}
	if len(c.Kind) > 0 || c.AllKinds {
		kinds := append([]contract.EventKind{}, c.Kind...) // none is an empty list, which selects all
		patch.Kinds = &kinds
	}
	if len(c.Connection) > 0 || c.AllConnections {
		connections := append([]contract.ConnectionID{}, c.Connection...)
		patch.Connections = &connections
	}
	switch {
	case c.AllKinds && len(c.Kind) > 0, c.AllConnections && len(c.Connection) > 0:
		return &usageError{"all and some contradict each other", "give either --kind or --all-kinds, and either --connection or --all-connections"}
	case patch == client.SubscriberPatch{}:
		return &usageError{"there is nothing to change", "give --name, --to, --kind or --connection"}
	}
	changed, err := s.connect().UpdateSubscriber(ctx, c.Workspace, c.ID, patch)
	return s.subscriber(changed, err)
}

type subscriberRemove struct{ oneSubscriber }

func (c *subscriberRemove) Run(ctx context.Context, s *session) error {
	if err := s.connect().RemoveSubscriber(ctx, c.Workspace, c.ID); err != nil {
		return err
	}
	return s.done(map[string]any{"id": c.ID, "removed": true}, "subscriber %s is removed", c.ID)
}

type subscriberEnable struct{ oneSubscriber }

func (c *subscriberEnable) Run(ctx context.Context, s *session) error {
	changed, err := s.connect().EnableSubscriber(ctx, c.Workspace, c.ID)
	return s.subscriber(changed, err)
}

type subscriberPause struct{ oneSubscriber }

func (c *subscriberPause) Run(ctx context.Context, s *session) error {
	changed, err := s.connect().PauseSubscriber(ctx, c.Workspace, c.ID)
	return s.subscriber(changed, err)
}

type subscriberTest struct{ oneSubscriber }

// Run fails if the subscriber did not take the event, so that a script notices.
func (c *subscriberTest) Run(ctx context.Context, s *session) error {
	came, err := s.connect().TestSubscriber(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	status := ""
	if came.Status != 0 {
		status = strconv.Itoa(came.Status)
	}
	err = s.show(came, func() {
		printFields(s.stdout, field{"taken", yes(came.Taken)}, field{"status", status},
			field{"took", (time.Duration(came.TookMillis) * time.Millisecond).String()}, field{"said", came.Excerpt})
	})
	if err == nil && !came.Taken {
		return fmt.Errorf("the subscriber did not take the test event: %s", came.Reason)
	}
	return err
}

type subscriberRotateSecret struct {
	oneSubscriber
	Overlap time.Duration `default:"24h" help:"How long the old secret signs beside the new one."`
}

func (c *subscriberRotateSecret) Run(ctx context.Context, s *session) error {
	value, err := s.connect().RotateSubscriberSecret(ctx, c.Workspace, c.ID, c.Overlap)
	if err != nil {
		return err
	}
	return s.show(map[string]string{"secret": value}, func() {
		fmt.Fprintln(s.stdout, clean(value))
		fmt.Fprintf(s.stderr, "the secret is not shown again; the old one signs beside it for %v\n", c.Overlap)
	})
}

type subscriberRewind struct {
	oneSubscriber
	After uint64 `required:"" placeholder:"SEQ" help:"The sequence of the last event not to send; 0 sends all that are kept."`
}

func (c *subscriberRewind) Run(ctx context.Context, s *session) error {
	changed, err := s.connect().RewindSubscriber(ctx, c.Workspace, c.ID, c.After)
	return s.subscriber(changed, err)
}

type subscriberWaiting struct {
	oneSubscriber
	pageFlags
	State domain.JobState `enum:"queued,done,parked,cancelled" default:"queued" help:"Which: ${enum}."`
}

func (c *subscriberWaiting) Run(ctx context.Context, s *session) error {
	page, err := s.connect().Notifications(ctx, c.Workspace, c.ID, c.State, c.page())
	if err != nil {
		return err
	}
	return listing(s, page,
		column[client.Notification]{"seq", func(n client.Notification) string { return strconv.FormatUint(n.Sequence, 10) }},
		column[client.Notification]{"state", func(n client.Notification) string { return string(n.State) }},
		column[client.Notification]{"attempts", func(n client.Notification) string { return strconv.Itoa(n.Attempts) }},
		column[client.Notification]{"not before", func(n client.Notification) string { return when(n.NotBefore) }},
		column[client.Notification]{"failure", func(n client.Notification) string {
			if n.Failure == nil {
				return ""
			}
			return n.Failure.Code
		}},
	)
}

type subscriberRetry struct{ oneSubscriber }

func (c *subscriberRetry) Run(ctx context.Context, s *session) error {
	n, err := s.connect().RetrySubscriber(ctx, c.Workspace, c.ID)
	if err != nil {
		return err
	}
	return s.done(map[string]int{"queued": n}, "%d events are queued again", n)
}

type subscriberPrivateTargets struct {
	oneSubscriber
	Targets []string `arg:"" optional:"" placeholder:"IP:PORT" help:"All of them; none forbids every private address."`
}

func (c *subscriberPrivateTargets) Run(ctx context.Context, s *session) error {
	changed, err := s.connect().AllowSubscriberTargets(ctx, c.Workspace, c.ID, c.Targets)
	return s.subscriber(changed, err)
}
