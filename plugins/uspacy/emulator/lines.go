package emulator

import (
	"net/http"
	"slices"
)

// Line is an external line.
type Line struct {
	ID          string `json:"id"`
	Timestamp   int64  `json:"timestamp"`
	Name        string `json:"name"`
	Icon        string `json:"icon"`
	Portal      string `json:"portal"`
	PhoneNumber string `json:"phoneNumber"`
	ExternalID  string `json:"externalId"`
}

func (q *request) createLine() (int, any) {
	var in struct{ Name, Icon, PhoneNumber, ExternalID *string }
	if why := q.into(&in); why != "" {
		return http.StatusBadRequest, nestError(400, why)
	}
	if in.Name == nil || in.Icon == nil || in.PhoneNumber == nil || in.ExternalID == nil {
		q.o.p.rec.Violation("a line lacks one of name, icon, phoneNumber and externalId")
		return http.StatusBadRequest, nestError(400, "all fields are mandatory")
	}
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	line := &Line{
		ID: q.o.p.newID(), Timestamp: millis(q.o.p.now()), Name: *in.Name, Icon: *in.Icon, Portal: q.o.domain,
		PhoneNumber: *in.PhoneNumber, ExternalID: *in.ExternalID,
	}
	q.o.lines = append(q.o.lines, line)
	return http.StatusCreated, *line
}

func (q *request) listLines() (int, any) { return http.StatusOK, q.o.Lines() }

// Lines returns the portal's lines.
func (o *Portal) Lines() []Line {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	list := make([]Line, 0, len(o.lines))
	for _, l := range o.lines {
		list = append(list, *l)
	}
	return list
}

// line finds a line. The caller holds mu.
func (o *Portal) line(id string) *Line {
	if i := slices.IndexFunc(o.lines, func(l *Line) bool { return l.ID == id }); i >= 0 {
		return o.lines[i]
	}
	return nil
}

func (q *request) getLine() (int, any) {
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	line := q.o.line(q.id)
	if line == nil {
		return http.StatusNotFound, nestError(404, "External line not found")
	}
	return http.StatusOK, *line
}

func (q *request) editLine() (int, any) {
	var in struct{ Name, Icon *string }
	if why := q.into(&in); why != "" {
		return http.StatusBadRequest, nestError(400, why)
	}
	q.o.p.mu.Lock()
	defer q.o.p.mu.Unlock()
	line := q.o.line(q.id)
	if line == nil {
		return http.StatusNotFound, nestError(404, "External line not found")
	}
	if in.Name != nil {
		line.Name = *in.Name
	}
	if in.Icon != nil {
		line.Icon = *in.Icon
	}
	return http.StatusOK, *line
}

func (q *request) deleteLine() (int, any) {
	line, ok := q.o.RemoveLine(q.id)
	if !ok {
		return http.StatusNotFound, nestError(404, "External line not found")
	}
	return http.StatusOK, line
}

// RemoveLine removes a line, as an administrator may at any time. Its chats stay.
func (o *Portal) RemoveLine(id string) (Line, bool) {
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	line := o.line(id)
	if line == nil {
		return Line{}, false
	}
	o.lines = slices.DeleteFunc(o.lines, func(l *Line) bool { return l.ID == id })
	return *line, true
}
