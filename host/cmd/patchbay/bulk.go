package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/host/domain"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// parkedFlags select parked commands.
type parkedFlags struct {
	All          bool                  `help:"Every parked command of the workspace."`
	Connection   contract.ConnectionID `placeholder:"ID" help:"The parked commands of this connection."`
	Export       contract.Export       `placeholder:"NAME" help:"Those that do this, such as send_message."`
	Code         string                `placeholder:"CODE" help:"Those that failed with this code."`
	Class        contract.FailureClass `placeholder:"CLASS" enum:",retry,retry_after,reauthorise,permanent,uncertain" default:"" help:"Those that failed in this way: retry, retry_after, reauthorise, permanent or uncertain."`
	ParkedAfter  time.Time             `placeholder:"TIME" format:"2006-01-02T15:04:05Z07:00" help:"Those that were parked after this time, such as 2026-11-22T10:00:00Z."`
	ParkedBefore time.Time             `placeholder:"TIME" format:"2006-01-02T15:04:05Z07:00" help:"Those that were parked before this time."`
}

func (f parkedFlags) selection() client.ParkedCommands {
	return client.ParkedCommands{Connection: f.Connection, Export: f.Export, Code: f.Code, Class: f.Class,
		ParkedAfter: f.ParkedAfter, ParkedBefore: f.ParkedBefore, Batch: client.Batch{All: f.All}}
}

// oneOrMany refuses a command line that names one thing and selects many, or neither.
func oneOrMany(id string, many bool) error {
	if (id != "") == many {
		return &usageError{why: "give either the id of one, or --all or what to select", hint: "see --help"}
	}
	return nil
}

// inBatches makes one request after the other until there is no next batch, and tells a
// person how far it is. What was done before an error is printed, too.
func (s *session) inBatches(verb string, one func(after string) (domain.Bulk, error)) error {
	sum := domain.Bulk{Skipped: []domain.Skipped{}}
	for {
		done, err := one(sum.Next)
		sum.Matched, sum.Done = sum.Matched+done.Matched, sum.Done+done.Done
		sum.Skipped = append(sum.Skipped, done.Skipped...)
		if err != nil {
			return errors.Join(err, s.showBulk(verb, sum))
		}
		if sum.Next = done.Next; sum.Next == "" {
			return s.showBulk(verb, sum)
		}
		if s.terminal {
			fmt.Fprintf(s.stderr, "%s %d so far\n", verb, sum.Done)
		}
	}
}

func (s *session) showBulk(verb string, b domain.Bulk) error {
	return s.show(b, func() {
		fmt.Fprintf(s.stdout, "%s %d of %d\n", verb, b.Done, b.Matched)
		for _, skipped := range b.Skipped {
			fmt.Fprintln(s.stdout, clean("skipped "+skipped.ID+": "+skipped.Why))
		}
	})
}
