package main

import (
	"cmp"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// fallbackName is the first name of a client whom nobody knows by name.
const fallbackName = "Guest"

// clientSearch is how many clients one search returns, the platform's most.
const clientSearch = "100"

// mapClient finds the client that a person is for the business, or makes one (protocol
// section 4, Clients), and keeps it. People are put together by an exact and only match of
// telephone or mail address, never by name.
func (c *api) mapClient(p *person, who *contract.Contact) (*contract.Failure, error) {
	if p.client != "" {
		return nil, nil
	}
	client, f := c.findClient(who)
	if f == nil && client == "" {
		client, f = c.createClient(who)
	}
	if f != nil {
		return f, nil
	}
	owner, err := loadText(c.h, prefixClient, client)
	if err != nil {
		return nil, err
	}
	if owner != "" && owner != p.chat {
		return permanent("client_shared", "The person is the same client of the business as another conversation's, "+
			"and inTandem has one session for each client."), nil
	}
	p.client = client
	if err := saveText(c.h, prefixClient+client, p.chat); err != nil {
		return nil, err
	}
	return nil, p.save(c.h)
}

// findClient searches by telephone, then by mail address.
func (c *api) findClient(who *contract.Contact) (string, *contract.Failure) {
	for _, by := range []struct{ field, term string }{{"phone", who.Phone}, {"email", who.Email}} {
		if by.term == "" {
			continue
		}
		client, f := c.searchClient(by.field, by.term)
		if f != nil || client != "" {
			return client, f
		}
	}
	return "", nil
}

// searchClient returns the one client whose telephone or mail address is the very same; ""
// if there is none, or more than one.
func (c *api) searchClient(field, term string) (string, *contract.Failure) {
	search := query("search_by", field, "search_term", pdk.Inert(term), "per_page", clientSearch)
	a, f := c.call(request{method: "GET", path: "/platform/v1/clients", query: search, bearer: contract.CredentialAccessToken})
	if f != nil {
		if a.status == 422 { // a term that the platform does not search for finds nobody
			return "", nil
		}
		return "", f
	}
	found := ""
	for _, client := range a.doc.Object("data").Objects("clients") {
		id := client.Identifier("id")
		if !isUID(id) || !c.ofBusiness(client) || !sameClient(client, field, term) || id == found {
			continue
		}
		if found != "" {
			return "", nil
		}
		found = id
	}
	return found, nil
}

// ofBusiness tells whether a client is the business's, as far as it says.
func (c *api) ofBusiness(client payload.Object) bool {
	uid := client.Identifier("business_uid")
	return uid == "" || uid == c.set.businessUID()
}

// sameClient tells whether a client has the very telephone or mail address.
func sameClient(client payload.Object, field, term string) bool {
	if field == "email" {
		return strings.EqualFold(strings.TrimSpace(client.String("email")), strings.TrimSpace(term))
	}
	want := digits(term)
	return len(want) >= 6 && (digits(client.String("normalized_phone")) == want || digits(client.String("mobile_phone")) == want ||
		digits(client.String("phone")) == want)
}

// digits is a telephone number without what people put between its digits. A leading 00
// stands for a plus.
func digits(phone string) string {
	kept := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
	return strings.TrimPrefix(kept, "00")
}

// createClient makes a client. The answer holds a token of the client's, of which nothing
// is kept.
func (c *api) createClient(who *contract.Contact) (string, *contract.Failure) {
	if !c.set.createClients() {
		return "", permanent("client_unknown", "The business does not know the person by telephone or mail address, and create_clients is off.")
	}
	body := payload.New().Words("first_name", cmp.Or(plain.Clip(who.Name, 100), fallbackName)).Text("status", "lead").
		Words("source_name", c.set.displayName())
	if who.Email != "" {
		body.Words("email", who.Email)
	}
	if who.Phone != "" {
		body.Words("phone", who.Phone)
	}
	a, f := c.call(request{method: "POST", path: "/platform/v1/clients", body: body.End(), bearer: contract.CredentialAccessToken,
		repeatable: who.Email != ""}) // which the platform takes once
	if f == nil {
		if id := a.doc.Object("data").Object("client").Identifier("id"); isUID(id) {
			return id, nil
		}
		return "", retry("platform_unreadable", "inTandem made a client and did not say which.")
	}
	if a.status != 409 {
		return "", f
	}
	if who.Email != "" { // somebody made it meanwhile, or the search did not find it
		if id, f := c.searchClient("email", who.Email); f != nil || id != "" {
			return id, f
		}
	}
	return "", permanent("client_ambiguous", "inTandem has a client with that mail address already, and not exactly one could be found.")
}

// LookupContact asks the platform for a customer's details.
func (connector) LookupContact(h pdk.Host, in *contract.LookupContactInput) (*contract.CommandOutput, error) {
	c := &api{h: h, set: settingsOf(&in.Connection)}
	id := string(in.Contact)
	chat, err := loadText(h, prefixWho, id)
	if err != nil {
		return nil, err
	}
	p, err := loadPerson(h, cmp.Or(chat, id))
	if err != nil {
		return nil, err
	}
	if p.client == "" {
		return failed(permanent("contact_unknown", "Nothing was ever sent for such a person.")), nil
	}
	a, f := c.call(request{method: "GET", path: "/platform/v1/clients/" + p.client, bearer: contract.CredentialAccessToken})
	if f != nil {
		return failed(f), nil
	}
	client := a.doc.Object("data").Object("client")
	if !client.Present() {
		client = a.doc.Object("data")
	}
	if found := client.Identifier("id"); found != "" && found != p.client || !c.ofBusiness(client) {
		return failed(permanent("contact_foreign", "inTandem answered with somebody else's details.")), nil
	}
	contact := contactOf(client)
	contact.ID = in.Contact
	return &contract.CommandOutput{Events: []contract.Event{{Kind: contract.EventContactUpdated, Contact: contact}}}, nil
}

// contactOf is a client as a contact. The client's token, and whatever else is not named
// here, is left where it is.
func contactOf(client payload.Object) *contract.Contact {
	name := strings.TrimSpace(client.String("first_name") + " " + client.String("last_name"))
	phone := cmp.Or(client.String("normalized_phone"), client.String("mobile_phone"), client.String("phone"))
	contact := &contract.Contact{
		Name: plain.Clip(name, contract.MaxNameBytes), Phone: plain.Clip(phone, contract.MaxIDBytes),
		Email: plain.Clip(client.String("email"), contract.MaxIDBytes),
	}
	if status := client.String("customer_status"); status != "" {
		contact.Attributes = map[string]string{"customer_status": plain.Clip(status, contract.MaxIDBytes)}
	}
	return contact
}
