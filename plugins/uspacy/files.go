package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
)

// uploads is the files of one message that the portal has, by their place among its files.
type uploads struct{ objects map[string]string }

// loadUploads reads what an earlier attempt uploaded.
func (s *sending) loadUploads() (*uploads, error) {
	u := &uploads{objects: map[string]string{}}
	r, _, found, err := load(s.p.h, prefixUpload, s.message)
	if err != nil || !found {
		return u, err
	}
	for _, name := range r.Names() {
		u.objects[name] = string(r.Raw(name))
	}
	return u, nil
}

// maxUploadsBytes bounds what is kept of a message's uploads; the host keeps 64 KiB. What is
// beyond is uploaded again by the next attempt.
const maxUploadsBytes = 60 << 10

func (s *sending) saveUploads(u *uploads) error {
	names := make([]string, 0, len(u.objects))
	for name := range u.objects {
		names = append(names, name)
	}
	slices.Sort(names)
	o := payload.New()
	for _, name := range names {
		o.Raw(name, u.objects[name])
	}
	value := o.End()
	if len(value) > maxUploadsBytes {
		return nil
	}
	return keep(s.p.h, prefixUpload+s.message, value, ttlUpload)
}

// upload brings a piece's files into the portal and returns their objects. A file that the
// portal or the host does not have is told in the outcome.
func (s *sending) upload(piece *piece) ([]string, *contract.Failure, error) {
	if len(piece.files) == 0 {
		return nil, nil, nil
	}
	u, err := s.loadUploads()
	if err != nil {
		return nil, nil, err
	}
	var objects []string
	for _, f := range piece.files {
		key := string(f.handle)
		object, known := u.objects[key]
		if !known {
			var failure *contract.Failure
			if object, failure, err = s.uploadOne(f); err != nil || failure != nil {
				return nil, failure, err
			}
			u.objects[key] = object
			if err := s.saveUploads(u); err != nil {
				return nil, nil, err
			}
		}
		switch object {
		case markGone:
			if failure := s.gone(f); failure != nil {
				return nil, failure, nil
			}
		case markTooLarge:
			if failure := s.leaveOut(piece, f); failure != nil {
				return nil, failure, nil
			}
		default:
			objects = append(objects, s.p.attached(object))
		}
	}
	return objects, nil, nil
}

// What stands in place of the object of a file that was not uploaded.
const (
	markGone     = `"gone"`
	markTooLarge = `"too_large"`
)

// attached is a file object as attachedFiles holds it.
func (p *portal) attached(object string) string {
	if !p.set.filesByID() {
		return object
	}
	o, err := payload.Parse([]byte(object), payload.Limits{})
	if err != nil {
		return object
	}
	return payload.New().Raw("id", string(o.Raw("id"))).End()
}

// uploadOne uploads one file, and returns its object or a mark.
func (s *sending) uploadOne(f file) (string, *contract.Failure, error) {
	types, err := s.p.tryTypes()
	if err != nil {
		return "", nil, err
	}
	for i, entityType := range types {
		result, err := s.p.put(f, entityType, s.entity())
		if err != nil {
			return notUploaded(err)
		}
		switch {
		case succeeded(result):
			return s.uploaded(result, entityType, i > 0)
		case result.Status == 413:
			return markTooLarge, nil, nil
		case result.Status != 422 || i == len(types)-1:
			return "", s.p.uploadRefused(result, f), nil
		}
	}
	return "", permanent("platform_refused", "The portal takes no uploads."), nil
}

// entity is what an upload belongs to.
func (s *sending) entity() string {
	if s.p.set.filesOnLine() {
		return s.line.id
	}
	return s.chat.chat
}

// tryTypes is the entity types to try, in order: first the one that worked before, if there is
// one.
func (p *portal) tryTypes() ([]string, error) {
	types := p.set.entityTypes()
	known, _, found, err := p.h.KVGet(keyEntityType)
	if at := slices.Index(types, known); found && at > 0 {
		types = slices.Insert(slices.Delete(types, at, at+1), 0, known)
	}
	return types, err
}

// put uploads a file. A second copy, should an answer get lost, is a file that no message names.
func (p *portal) put(f file, entityType, entity string) (*contract.HTTPResult, error) {
	r := p.request("POST", pathFiles, "", true)
	r.TimeoutMillis = 0 // the host's limit: a file takes its time
	return p.h.MediaPut(contract.MediaPut{
		Request: r, Handle: f.handle, Field: p.set.fileField(),
		Form: map[string]string{"entityType": entityType, "entityId": entity},
	})
}

// notUploaded says what it means that an upload has no answer.
func notUploaded(err error) (string, *contract.Failure, error) {
	switch contract.HostErrorCode(err) {
	case contract.HostNotFound:
		return markGone, nil, nil
	case "":
		return "", nil, err
	}
	return "", unanswered(err), nil
}

// blame says of a file's part what became of it.
func (s *sending) blame(f file, fate contract.PartFate, note string) {
	o := &s.draft.outcomes[f.part]
	if o.Fate == contract.PartNative {
		o.Fate = fate
	}
	o.Note = note
}

// gone says of a file that it is not sent.
func (s *sending) gone(f file) *contract.Failure {
	s.blame(f, contract.PartDropped, "The host has no such attachment any more.")
	if s.strict {
		return s.draft.outcomes.Strict(s.parts)
	}
	return nil
}

// leaveOut puts a note in place of a file.
func (s *sending) leaveOut(piece *piece, f file) *contract.Failure {
	s.blame(f, contract.PartConverted, "The portal takes no file of that size, so a note says that it was left out.")
	if s.strict {
		return s.draft.outcomes.Strict(s.parts)
	}
	text := "[" + f.name + ": too large to be passed on]"
	if piece.text != "" {
		piece.text += "\n\n"
	}
	piece.text += s.draft.marked(text)
	piece.kind = typeMessage
	return nil
}

// uploaded reads the object of an uploaded file, as the portal wrote it. What a customer called
// the file is in it, so it can not bring a placeholder along.
func (s *sending) uploaded(r *contract.HTTPResult, entityType string, learnt bool) (string, *contract.Failure, error) {
	if learnt {
		if err := keep(s.p.h, keyEntityType, entityType, 0); err != nil {
			return "", nil, err
		}
	}
	data := jsontext.NewDecoder(strings.NewReader(string(answerObject(r).Raw("data"))))
	if token, err := data.ReadToken(); err != nil || token.Kind() != '[' {
		return "", unreadable(), nil
	}
	object, err := data.ReadValue()
	if err != nil || object.Kind() != '{' {
		return "", unreadable(), nil
	}
	return pdk.Inert(bare(string(object))), nil, nil
}

// uploadRefused is the failure of an upload; a full storage is told as such.
func (p *portal) uploadRefused(r *contract.HTTPResult, f file) *contract.Failure {
	failure := refused(r)
	if failure.Class != contract.FailurePermanent || failure.Code == codeForbidden || failure.Code == "not_found" {
		return failure
	}
	result, unanswered := p.call("GET", pathTotals, "", true)
	if unanswered != nil || !succeeded(result) {
		return failure
	}
	totals := objectOf(answerObject(result), "data")
	size, limit := numberOf(totals, "size"), numberOf(totals, "limit")
	if limit > 0 && size+f.size > limit {
		return permanent("storage_full", "The portal's storage is full ("+strconv.FormatInt(size, 10)+" of "+strconv.FormatInt(limit, 10)+" bytes).")
	}
	return failure
}
