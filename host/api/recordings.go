package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seed75a60ee1/patchbay/host/identity"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// Recordings reads what the runs of deliveries and commands of a workspace recorded.
type Recordings interface {
	// Recordings lists the runs of which one is kept, counted from 1.
	Recordings(ctx context.Context, ws contract.WorkspaceID, owner string) ([]int, error)
	// Recording returns that of one run, as "patchbay plugin replay" takes it.
	Recording(ctx context.Context, ws contract.WorkspaceID, owner string, run int) ([]byte, error)
}

// recordingType is the content type of a recording.
const recordingType = "application/json"

// recorded is a run of which a recording is kept.
type recorded struct {
	Run int `json:"run" example:"1" doc:"Counts the runs from 1."`
}

// InRun is the part of a request that names a run.
type InRun struct {
	Run int `path:"run" minimum:"1" maximum:"1000000" example:"1" doc:"The run, from 1."`
}

func (s *Server) addRecordings() {
	file := &huma.Response{Description: "The recording.", Content: map[string]*huma.MediaType{recordingType: {Schema: &huma.Schema{Type: huma.TypeObject}}}}
	const about = "A recording is one call of the plugin kept whole: its input, every host function it called with the answer, and what came of it. It holds what people wrote. Secrets are not in it: one that the platform itself sent is masked."
	register(s, route{
		id: "list-command-recordings", method: http.MethodGet, path: commandPath + "/recordings", tag: "commands", allow: access(identity.RecordingRead),
		summary: "List the recordings of a command", description: about,
	}, func(ctx context.Context, in *InCommand) (*answer[list[recorded]], error) {
		return s.listRecordings(ctx, in.Workspace, string(in.Command))
	})
	register(s, route{
		id: "get-command-recording", method: http.MethodGet, path: commandPath + "/recordings/{run}", tag: "commands", allow: access(identity.RecordingRead),
		summary: "Read a recording of a command", description: "A file for patchbay plugin replay. " + about, gives: file,
	}, func(ctx context.Context, in *struct {
		InCommand
		InRun
	}) (*document, error) {
		return s.getRecording(ctx, in.Workspace, string(in.Command), in.Run)
	})
	register(s, route{
		id: "list-delivery-recordings", method: http.MethodGet, path: deliveryPath + "/recordings", tag: "deliveries", allow: access(identity.RecordingRead),
		summary: "List the recordings of a delivery", description: about,
	}, func(ctx context.Context, in *InDelivery) (*answer[list[recorded]], error) {
		return s.listRecordings(ctx, in.Workspace, string(in.Delivery))
	})
	register(s, route{
		id: "get-delivery-recording", method: http.MethodGet, path: deliveryPath + "/recordings/{run}", tag: "deliveries", allow: access(identity.RecordingRead),
		summary: "Read a recording of a delivery", description: "A file for patchbay plugin replay. " + about, gives: file,
	}, func(ctx context.Context, in *struct {
		InDelivery
		InRun
	}) (*document, error) {
		return s.getRecording(ctx, in.Workspace, string(in.Delivery), in.Run)
	})
}

func (s *Server) listRecordings(ctx context.Context, ws contract.WorkspaceID, owner string) (*answer[list[recorded]], error) {
	runs, err := s.opts.Recordings.Recordings(ctx, ws, owner)
	return listed(mapped(runs, func(run int) recorded { return recorded{Run: run} }), ""), err
}

func (s *Server) getRecording(ctx context.Context, ws contract.WorkspaceID, owner string, run int) (*document, error) {
	file, err := s.opts.Recordings.Recording(ctx, ws, owner, run)
	return &document{Type: recordingType, Body: file}, err
}
