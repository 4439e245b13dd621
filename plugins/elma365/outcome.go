package main

import (
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// The kinds of work that this connector asks itself for. Each is about one post, in the
// state in which it had been posted so many times; if it has been posted again since, or
// its outcome came, there is nothing to do.
const (
	// workCheck comes due when an outcome is late.
	workCheck = "check"
	// workRepeat posts again.
	workRepeat = "repeat"
	// workEarly looks again at an outcome that came before its post was noted.
	workEarly = "early"
)

// work is the payload of a command: "kind count id".
func work(kind string, count int64, id string, afterMillis int64) *contract.CommandRequest {
	return &contract.CommandRequest{
		AfterMillis: afterMillis, Payload: kind + " " + strconv.FormatInt(count, 10) + " " + id,
	}
}

// readWork takes a payload apart.
func readWork(payload string) (kind string, count int64, id string, ok bool) {
	kind, rest, _ := strings.Cut(payload, " ")
	digits, id, ok := strings.Cut(rest, " ")
	count, err := strconv.ParseInt(digits, 10, 64)
	return kind, count, id, ok && err == nil
}

// earlyDelays is when to look again at an outcome whose post is not noted, in
// milliseconds. A post is noted within the time that a call may take.
var earlyDelays = []int64{5_000, 60_000, 600_000}

// required tells whether a message counts as delivered only once its outcome came.
func required(h pdk.Host, set settings) (bool, error) {
	switch set.outcomePolicy() {
	case outcomesRequired:
		return true, nil
	case outcomesIgnored:
		return false, nil
	}
	_, _, seen, err := h.KVGet(keyOutcomesSeen)
	return seen, err
}

// await looks whether the outcome of a post came before the call returned, and otherwise
// asks to be called when it is late. tries is how often the post was made.
func (l *link) await(id string, tries int64) (confirmed bool, next *contract.CommandRequest, err error) {
	o, found, err := loadOutcome(l.h, id)
	if err != nil {
		return false, nil, err
	}
	if found && o.success {
		return true, nil, forget(l.h, id)
	}
	due, err := required(l.h, l.set)
	switch {
	case err != nil:
		return false, nil, err
	case found && o.tries == 0 && tries == 1 && l.set.outcomePolicy() != outcomesIgnored:
		return false, l.set.again(id, tries), nil // it failed before the call returned
	case due:
		return false, work(workCheck, tries, id, l.set.outcomeTimeoutMillis()), nil
	}
	return false, nil, nil
}

// again is the repeat that follows the tries-th post; nil if that was the last.
func (s settings) again(id string, tries int64) *contract.CommandRequest {
	delays, _ := s.retryDelays()
	if tries < 1 || tries > int64(len(delays)) {
		return nil
	}
	return work(workRepeat, tries, id, delays[tries-1]*1000)
}

// forget deletes what a repeat would need.
func forget(h pdk.Host, id string) error {
	return h.KVDelete(contract.KVDelete{Key: prefixAgain + id})
}

// confirmed tells whether a post is known to have been processed: by its outcome, or by
// an operator having read it or a later one.
func confirmed(h pdk.Host, id string, p *posted) (bool, error) {
	o, found, err := loadOutcome(h, id)
	if err != nil || (found && o.success) {
		return err == nil, err
	}
	mark, found, err := loadRead(h, p.chat)
	if err != nil || !found {
		return false, err
	}
	return p.at < mark.at || (p.at == mark.at && p.message == mark.message), nil
}

// settled tells whether every piece of the message that p belongs to is confirmed.
func settled(h pdk.Host, p *posted) (bool, error) {
	for i := range int(p.pieces) {
		if ok, err := confirmed(h, pieceID(p.message, i), p); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// statusEvent reports how far a message got.
func statusEvent(p *posted, report contract.StatusReport) contract.Event {
	report.PlatformID = contract.PlatformMessageID(p.message)
	return contract.Event{
		Kind:         contract.EventMessageStatus,
		Conversation: &contract.Conversation{ID: contract.ConversationID(p.chat)},
		Status:       &report,
	}
}

// delivered is the event for a message of which a piece was just confirmed; none while
// others are not, and none for our own notices.
func delivered(h pdk.Host, p *posted) ([]contract.Event, error) {
	if p.quiet {
		return nil, nil
	}
	ok, err := settled(h, p)
	if err != nil || !ok {
		return nil, err
	}
	return []contract.Event{statusEvent(p, contract.StatusReport{Status: contract.MessageDelivered})}, nil
}

// undelivered is the event for a message that will not be posted again.
func undelivered(p *posted, f *contract.Failure) []contract.Event {
	if p.quiet {
		return nil
	}
	return []contract.Event{statusEvent(p, contract.StatusReport{Status: contract.MessageFailed, Failure: f})}
}

// absent and negative say why a message is given up.
func absent() *contract.Failure {
	return permanent("outcome_missing", "ELMA365 took the message and never reported that it was processed.")
}

func negative() *contract.Failure {
	return permanent("outcome_negative", "ELMA365 took the message and reported that it could not be processed.")
}
