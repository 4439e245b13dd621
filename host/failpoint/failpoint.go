// Package failpoint names the moments at which a crash would hurt most, so that a test can
// kill the process at exactly one of them.
//
// Code that reaches such a moment says so with [Hit]. In an ordinary build that is nothing
// at all: the function is empty and is compiled away. In a build with the tag "failpoints",
// the environment variable [Variable] picks one name and a count, such as
// "store.before-commit:3", and the third time that moment is reached the process kills
// itself with SIGKILL: no deferred call runs, no buffer is flushed, nobody is told.
package failpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Variable is the environment variable that a build with failpoints reads at its start.
const Variable = "PATCHBAY_FAILPOINT"

// Name is one moment. Names are listed in [Names] and nowhere else.
type Name string

// The moments, in the order in which a webhook and what comes of it pass them.
const (
	StoreBeforeCommit      Name = "store.before-commit"      // the transaction is complete, and not in the file
	StoreAfterCommit       Name = "store.after-commit"       // it is durable, and nobody who waits for it knows
	RouteAfterPark         Name = "route.after-park"         // the delivery waits for its connection, and the platform has no answer
	RouteAfterAssign       Name = "route.after-assign"       // a key is a connection's and what waited is queued, and the operator has no answer
	ClaimBeforeCommit      Name = "claim.before-commit"      // a delivery that waited was taken, and nothing of it is kept
	IngressAfterCommit     Name = "ingress.after-commit"     // the delivery is kept, and the platform has no answer
	SchedulerBeforeRun     Name = "scheduler.before-run"     // a job was taken, and nothing of it has begun
	BrokerBeforeIntent     Name = "broker.before-intent"     // the plugin asked for a call, and nothing says so
	BrokerAfterIntent      Name = "broker.after-intent"      // the intent is durable, and the call was not made
	BrokerAfterAnswer      Name = "broker.after-answer"      // the platform answered, and nothing says so
	BrokerAfterJournal     Name = "broker.after-journal"     // the answer is durable, and the plugin has not seen it
	BrokerBeforeCommit     Name = "broker.before-commit"     // the plugin is done, and nothing of it is kept
	BrokerAfterCommit      Name = "broker.after-commit"      // what it did is kept, and nobody acts on it yet
	CredentialsAfterAnswer Name = "credentials.after-answer" // new tokens are in the journal of the refresh, and nowhere else
	CredentialsAfterSave   Name = "credentials.after-save"   // they are kept, and the plugin does not know
	CredentialsBeforeUse   Name = "credentials.before-use"   // a request has its access token, and has not gone out
	SubscribersAfterSend   Name = "subscribers.after-send"   // a subscriber has an event, and the cursor does not say so
	BridgesBeforeCommit    Name = "bridges.before-commit"    // a step of a bridge is complete, and nothing of it is kept
	RetentionMid           Name = "retention.mid"            // some of what is too old is removed, and some is not
)

var names = []Name{
	StoreBeforeCommit, StoreAfterCommit, RouteAfterPark, RouteAfterAssign, ClaimBeforeCommit, IngressAfterCommit, SchedulerBeforeRun,
	BrokerBeforeIntent, BrokerAfterIntent, BrokerAfterAnswer, BrokerAfterJournal, BrokerBeforeCommit, BrokerAfterCommit,
	CredentialsAfterAnswer, CredentialsAfterSave, CredentialsBeforeUse, SubscribersAfterSend, BridgesBeforeCommit, RetentionMid,
}

// Names lists every moment there is.
func Names() []Name { return slices.Clone(names) }

// Setting is what [Variable] holds to have the process killed at the count-th hit of a
// name. A count begins at 1.
func Setting(name Name, count int) string { return string(name) + ":" + strconv.Itoa(count) }

// parse takes a setting apart.
func parse(setting string) (Name, int64, error) {
	name, number, _ := strings.Cut(setting, ":")
	if !slices.Contains(names, Name(name)) {
		return "", 0, fmt.Errorf("%s is %q: there is no failpoint %q; take one of %q", Variable, setting, name, names)
	}
	count, err := strconv.ParseInt(number, 10, 32)
	if err != nil || count < 1 {
		return "", 0, fmt.Errorf("%s is %q: it does not say at which hit; write %q for the first", Variable, setting, name+":1")
	}
	return Name(name), count, nil
}
