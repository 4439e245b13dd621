package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/seed75a60ee1/patchbay/host/domain"
)

// Audit appends an entry to the audit log. Seq, Previous and Hash are filled in; what the
// caller set there is not looked at.
func (s *Store) Audit(ctx context.Context, e domain.AuditEntry) error {
	e.At = e.At.UTC()
	return s.update(ctx, "append to audit log", func(t *tx) error {
		next := e
		previous, err := t.lastAudit()
		if err != nil {
			return err
		}
		next.Previous, next.Seq = previous.Hash, t.next(bucketAudit)
		if next.Hash, err = auditHash(next); err != nil {
			return err
		}
		t.putJSON(bucketAudit, newKey().number(next.Seq), next)
		return nil
	})
}

// lastAudit returns the newest entry; the zero entry if there is none.
func (t *tx) lastAudit() (domain.AuditEntry, error) {
	for _, doc := range t.scanBack(bucketAudit, nil, nil) {
		return decode[domain.AuditEntry](bucketAudit, doc)
	}
	return domain.AuditEntry{}, nil
}

// auditHash covers every field but Hash itself.
func auditHash(e domain.AuditEntry) (string, error) {
	e.Hash = ""
	doc, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("hash audit entry %d: %w", e.Seq, err)
	}
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:]), nil
}

// AuditEntries lists entries of the audit log, newest first, with the cursor of the next
// page. It reads every entry on its way.
func (s *Store) AuditEntries(ctx context.Context, f domain.AuditFilter, p domain.Page) ([]domain.AuditEntry, string, error) {
	return paged(ctx, s, "list audit log", func(t *tx) ([]domain.AuditEntry, string, error) {
		before, err := listAudit.position(p.After)
		if err != nil {
			return nil, "", err
		}
		return collect(ctx, listAudit, p.Size(), t.scanBack(bucketAudit, nil, before),
			func(_, doc []byte) (domain.AuditEntry, bool, error) {
				e, err := decode[domain.AuditEntry](bucketAudit, doc)
				return e, (f.Workspace == "" || f.Workspace == e.Workspace) && (f.Action == "" || f.Action == e.Action), err
			})
	})
}

// AuditBroken says where the audit log was tampered with.
type AuditBroken struct {
	// Seq is the first entry that is not as it was written.
	Seq uint64
	Why string
}

func (e *AuditBroken) Error() string {
	return fmt.Sprintf("audit log: entry %d: %s; do not trust it or anything after it, and compare with a backup", e.Seq, e.Why)
}

// VerifyAudit reads the whole audit log and returns an [AuditBroken] if an entry was
// changed, removed or put in.
func (s *Store) VerifyAudit(ctx context.Context) error {
	_, err := view(ctx, s, "verify audit log", func(t *tx) (struct{}, error) {
		return struct{}{}, t.verifyAudit(ctx)
	})
	return err
}

func (t *tx) verifyAudit(ctx context.Context) error {
	var last domain.AuditEntry
	for position, doc := range t.scan(bucketAudit, nil, nil) {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := decode[domain.AuditEntry](bucketAudit, doc)
		if err != nil {
			return &AuditBroken{last.Seq + 1, err.Error()}
		}
		if why := auditFault(last, e, unpackNumber(position)); why != "" {
			return &AuditBroken{last.Seq + 1, why}
		}
		last = e
	}
	if damage := t.excuse(); damage != nil {
		return &AuditBroken{last.Seq + 1, damage.Error()}
	}
	if written := t.bolt.Bucket(bucketAudit).Sequence(); written != last.Seq {
		return &AuditBroken{last.Seq + 1, fmt.Sprintf("it and what followed are gone: %d were written", written)}
	}
	return nil
}

// auditFault says what is wrong with an entry that follows last; nothing if it is right.
func auditFault(last, e domain.AuditEntry, place uint64) string {
	hash, err := auditHash(e)
	switch {
	case err != nil:
		return err.Error()
	case place != last.Seq+1:
		return fmt.Sprintf("it is missing; the next one is %d", place)
	case e.Seq != place:
		return fmt.Sprintf("it says that it is entry %d", e.Seq)
	case e.Previous != last.Hash:
		return "it does not follow the entry before it"
	case e.Hash != hash:
		return "it was changed"
	}
	return ""
}
