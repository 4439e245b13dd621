package domain

import (
	"time"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// NoticeKind says what a notice is about; a stable word for programs.
type NoticeKind string

// The kinds of notice.
const (
	// NoticeJobParked means that a job failed for good and its lane went on without it.
	NoticeJobParked NoticeKind = "job.parked"
	// NoticeJobUncertain means that a job was parked because one of its calls may or may
	// not have taken effect.
	NoticeJobUncertain NoticeKind = "job.uncertain"
	// NoticeSubscriberFailing means that a subscriber has not taken events for a while.
	NoticeSubscriberFailing NoticeKind = "subscriber.failing"
	// NoticeSubscriberDisabled means that a subscriber gets no more events.
	NoticeSubscriberDisabled NoticeKind = "subscriber.disabled"
	// NoticeBridgeLoop means that a bridge left out what looked like its own echo, again and
	// again.
	NoticeBridgeLoop NoticeKind = "bridge.loop"
	// NoticeBridgeSkipped means that a bridge could not carry something over.
	NoticeBridgeSkipped NoticeKind = "bridge.skipped"
	// NoticeBridgeStopped means that a bridge was paused because a connection of it was
	// removed.
	NoticeBridgeStopped NoticeKind = "bridge.stopped"
	// NoticeNeedsAction means that a connection does not work until somebody does something.
	NoticeNeedsAction NoticeKind = "connection.needs_action"
	// NoticeInstall means that an account installed an app and belongs to no connection yet.
	NoticeInstall NoticeKind = "app.install"
	// NoticeParkingFull means that an app's parking space is full: its platform is told to try
	// again.
	NoticeParkingFull NoticeKind = "app.parking_full"
	// NoticeBreakerOpened means that a destination failed so often that it is left alone for
	// a while.
	NoticeBreakerOpened NoticeKind = "breaker.opened"
	// NoticeRetention means that something was removed before its age, for its size.
	NoticeRetention NoticeKind = "retention.size"
	// NoticeRetentionParked means that a parked job was removed for its age.
	NoticeRetentionParked NoticeKind = "retention.parked"
	// NoticeRetentionBehind means that events were removed that a subscriber or a bridge had
	// not read yet.
	NoticeRetentionBehind NoticeKind = "retention.behind"
	// NoticeDamage means that something in the store cannot be read.
	NoticeDamage NoticeKind = "store.damage"
)

// Notice is an operator event: something that a person may want to act upon. It is kept
// in the transaction that caused it.
type Notice struct {
	// Seq is its place among all notices of the host, from 1.
	Seq        uint64                `json:"seq"`
	At         time.Time             `json:"at"`
	Kind       NoticeKind            `json:"kind"`
	Workspace  contract.WorkspaceID  `json:"workspace,omitempty"`
	Connection contract.ConnectionID `json:"connection,omitempty"`
	// Target is what it is about: a job's id, a subscriber's, a destination.
	Target string `json:"target,omitempty"`
	// Detail is one sentence for a person. It holds no secret and no message.
	Detail string `json:"detail"`
}

// NoticeFilter selects notices. An empty field selects all.
type NoticeFilter struct {
	Workspace contract.WorkspaceID
	Kind      NoticeKind
}
