package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// ticketChunk is how many tickets are read at once.
const ticketChunk = 4096

// ticketKinds are the kinds of job in the order in which tickets number them, from 1. A new
// kind goes to the end: the numbers are in files.
var ticketKinds = []domain.JobKind{domain.JobCommand, domain.JobEvent, domain.JobNotify, domain.JobClaim}

// QueuedTickets calls each with the ticket of every queued job, in the order of Seq, and
// stops at its first error, which it returns. Tickets are read in chunks: each may call the
// store, and sees a job that is queued meanwhile as well.
func (s *Store) QueuedTickets(ctx context.Context, each func(domain.Ticket) error) error {
	for after := uint64(0); after < math.MaxUint64; {
		tickets, err := view(ctx, s, "read tickets", func(t *tx) ([]domain.Ticket, error) { return t.ticketsAfter(after) })
		if err != nil {
			return err
		}
		for _, ticket := range tickets {
			if err := each(ticket); err != nil {
				return err
			}
			after = ticket.Seq
		}
		if len(tickets) < ticketChunk {
			return nil
		}
	}
	return nil
}

func (t *tx) ticketsAfter(after uint64) ([]domain.Ticket, error) {
	var tickets []domain.Ticket
	for position, packed := range t.scan(bucketQueue, nil, packNumber(after)) {
		if len(tickets) == ticketChunk {
			break
		}
		ticket, err := unpackTicket(packed)
		if err != nil {
			return nil, fmt.Errorf("%s %x: %w", bucketQueue, position, err)
		}
		ticket.Seq = unpackNumber(position)
		tickets = append(tickets, ticket)
	}
	return tickets, nil
}

// packTicket writes a ticket without its Seq, which is its key: the kind, the time, and the
// texts, each behind its length.
func packTicket(t domain.Ticket) []byte {
	v := make([]byte, 0, 9+4+len(t.ID)+len(t.Workspace)+len(t.Group)+len(t.Lane)+4)
	v = append(v, byte(slices.Index(ticketKinds, t.Kind)+1))
	v = append(v, packTime(t.NotBefore)...)
	for _, text := range []string{t.ID, string(t.Workspace), t.Group, t.Lane} {
		v = append(binary.AppendUvarint(v, uint64(len(text))), text...)
	}
	return v
}

var errTicket = errors.New("it is no ticket")

func unpackTicket(v []byte) (domain.Ticket, error) {
	var t domain.Ticket
	if len(v) < 9 || int(v[0]) > len(ticketKinds) {
		return t, errTicket
	}
	if v[0] > 0 {
		t.Kind = ticketKinds[v[0]-1]
	}
	t.NotBefore = unpackTime(v[1:9])
	all, rest := string(v), 9
	var texts [4]string
	for i := range texts {
		n, size := binary.Uvarint(v[rest:])
		if size <= 0 || n > uint64(len(v)-rest-size) {
			return t, errTicket
		}
		rest += size
		texts[i] = all[rest : rest+int(n)]
		rest += int(n)
	}
	if rest != len(v) {
		return t, errTicket
	}
	t.ID, t.Workspace, t.Group, t.Lane = texts[0], contract.WorkspaceID(texts[1]), texts[2], texts[3]
	return t, nil
}
