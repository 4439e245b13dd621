package domain

import (
	"errors"
	"fmt"
)

// What a store answers. Match with errors.Is.
var (
	// ErrNotFound means that there is no such thing, or that it belongs to somebody else.
	ErrNotFound = errors.New("not found")
	// ErrExists means that the name is taken.
	ErrExists = errors.New("already exists")
	// ErrConflict means that something the caller read has changed since.
	ErrConflict = errors.New("conflict")
	// ErrQuota means that a limit was reached.
	ErrQuota = errors.New("quota exceeded")
	// ErrIdempotencyMismatch means that the idempotency key was used for another request.
	ErrIdempotencyMismatch = errors.New("idempotency key was used for another request")
	// ErrUnavailable means that the store cannot take writes now (full or read-only disk,
	// closing down). Nothing of the refused transaction was kept.
	ErrUnavailable = errors.New("store unavailable")
)

// WrongState means that a job is not in a state in which it can be changed so. It matches
// [ErrConflict], and its text is for the person who asked.
type WrongState struct {
	State JobState
	// Wanted says in which state it would have to be, in words.
	Wanted string
}

func (e *WrongState) Error() string {
	return fmt.Sprintf("it is %s; it would have to be %s", e.State, e.Wanted)
}

// Unwrap makes it match ErrConflict.
func (e *WrongState) Unwrap() error { return ErrConflict }
