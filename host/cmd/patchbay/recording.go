package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/seed75a60ee1/patchbay/host/client"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// recordingFlags say which run's recording to read, and where to.
type recordingFlags struct {
	Run    int    `placeholder:"N" help:"The run, counted from 1; the last one of which a recording is kept if not given."`
	List   bool   `help:"List the runs instead."`
	Output string `short:"o" placeholder:"FILE" help:"Where to write it, or - for standard output; ID-RUN.json in this folder if not given. A file that exists is never overwritten. Hand it to patchbay plugin replay."`
}

type commandRecording struct {
	oneCommand
	recordingFlags
}

func (c *commandRecording) Run(ctx context.Context, s *session) error {
	return s.recording(ctx, c.Workspace, client.RecordedCommand, c.ID, c.recordingFlags)
}

type deliveryRecording struct {
	oneDelivery
	recordingFlags
}

func (c *deliveryRecording) Run(ctx context.Context, s *session) error {
	return s.recording(ctx, c.Workspace, client.RecordedDelivery, string(c.ID), c.recordingFlags)
}

// recording reads the recording of one run, or lists the runs.
func (s *session) recording(ctx context.Context, ws contract.WorkspaceID, what client.Recorded, id string, f recordingFlags) error {
	if f.Run < 0 {
		return &usageError{why: fmt.Sprintf("--run is %d; runs are counted from 1", f.Run), hint: "see --list"}
	}
	run := f.Run
	if f.List || run == 0 {
		runs, err := s.connect().Recordings(ctx, ws, what, id)
		if err != nil || f.List {
			return s.listRuns(runs, err)
		}
		if len(runs.Items) == 0 {
			return fmt.Errorf("%s has no recording; it did not reach the plugin, or its payload is no longer kept", id)
		}
		run = runs.Items[len(runs.Items)-1].Run
	}
	file, err := s.connect().Recording(ctx, ws, what, id, run)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read to its end, or given up
	if f.Output == "-" {
		_, err := io.Copy(s.stdout, file)
		return err
	}
	path := f.Output
	if path == "" {
		path = localName(id) + "-" + strconv.Itoa(run) + ".json"
	}
	n, err := writeNew(path, file)
	if err != nil {
		return err
	}
	return s.done(map[string]any{"file": path, "run": run, "size_bytes": n}, "wrote %s, %d bytes; run %d", path, n, run)
}

func (s *session) listRuns(page client.Page[client.Run], err error) error {
	if err != nil {
		return err
	}
	return listing(s, page, column[client.Run]{"run", func(r client.Run) string { return strconv.Itoa(r.Run) }})
}
