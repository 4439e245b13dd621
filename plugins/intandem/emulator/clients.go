package emulator

import (
	"strings"
)

// client finds a client of the business. mu is held.
func (b *Business) client(id string) *Client {
	for _, c := range b.clients {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// document is a client as the API describes one. The token that comes with a new one is
// what apps must not keep.
func (b *Business) document(c *Client) map[string]any {
	return map[string]any{
		"id": c.ID, "first_name": c.FirstName, "last_name": c.LastName, "email": c.Email, "mobile_phone": c.Phone,
		"normalized_phone": c.Phone, "business_uid": b.UID, "customer_status": c.Status,
		"created_at": "2026-01-31T09:30:00.000Z", "updated_at": "2026-01-31T09:30:00.000Z",
	}
}

// business is whose clients a call may see: a service token without a business sees none.
func (c *call) business() (*Business, *reply) {
	if c.who.business == nil {
		wrong := refuse(401, "unauthorized", "Unauthorized")
		return nil, &wrong
	}
	return c.who.business, nil
}

func (c *call) searchClients() reply {
	b, wrong := c.business()
	if wrong != nil {
		return *wrong
	}
	q := c.r.URL.Query()
	term, list := strings.ToLower(q.Get("search_term")), []any{}
	for _, client := range b.clients {
		var field string
		switch q.Get("search_by") {
		case "email":
			field = client.Email
		case "phone":
			field = client.Phone
		case "uid":
			field = client.ID
		default:
			return refuse(422, "invalid", "search_by is invalid")
		}
		if term != "" && strings.Contains(strings.ToLower(field), strings.TrimPrefix(term, "+")) { // it finds more than is meant
			list = append(list, b.document(client))
		}
	}
	return reply{status: 200, body: map[string]any{"status": "OK", "data": map[string]any{"clients": list}}}
}

func (c *call) createClient() reply {
	b, wrong := c.business()
	if wrong != nil {
		return *wrong
	}
	if wrong := c.missing("first_name"); wrong != nil {
		return *wrong
	}
	for _, client := range b.clients {
		if email := c.text("email"); email != "" && strings.EqualFold(client.Email, email) {
			return reply{status: 409, body: map[string]any{"status": "Error", "error": "client exists"}}
		}
	}
	client := b.add(Client{
		FirstName: c.text("first_name"), LastName: c.text("last_name"), Email: c.text("email"), Phone: c.text("phone"),
		Status: c.text("status"), SourceName: c.text("source_name"),
	})
	return reply{status: 201, body: map[string]any{"status": "OK", "data": map[string]any{
		"client": b.document(client), "token": "client-" + c.p.random(16),
	}}}
}

func (c *call) getClient() reply {
	b, wrong := c.business()
	if wrong != nil {
		return *wrong
	}
	client := b.client(c.r.PathValue("uid"))
	if client == nil {
		return refuse(404, "invalid", "no such client")
	}
	return reply{status: 200, body: map[string]any{"status": "OK", "data": map[string]any{"client": b.document(client)}}}
}
