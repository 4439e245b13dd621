package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/payload"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
	"github.com/seed75a60ee1/patchbay/pdk/record"
)

// userInfoKeys is the keys of the answer to userInfo. The vendor does not publish them,
// so each can be renamed.
var userInfoKeys = [...]string{"userId", "fullName", "name", "login", "phone", "email", "avatar"}

func isUserInfoKey(key string) bool { return slices.Contains(userInfoKeys[:], key) }

// userInfo hands out a person's details, for people who have a conversation on this
// connection only; whoever else is asked for has a login and nothing more.
func (d *delivery) userInfo() (*contract.ReceiveOutput, error) {
	id := d.data.String("userId")
	if err := d.data.Err(); err != nil {
		return malformed(err), nil
	}
	if !fits(id) {
		return rejected(400, "malformed", "The data has no userId, or one that is far too long."), nil
	}
	person, found, err := d.findPerson(id)
	if err != nil {
		return nil, err
	}
	if !found {
		d.h.Log(pdk.LogInfo, "userInfo asked for a person without a conversation", "user", clip(id))
	}
	keys, _ := d.set.userInfoKeys()
	return answer(200, userInfoBody(id, person, keys)), nil
}

// findPerson reads a person's details.
func (d *delivery) findPerson(id string) (person contract.Contact, found bool, err error) {
	value, _, found, err := d.h.KVGet(prefixContact + id)
	if err != nil || !found {
		return person, false, err
	}
	if contract.Unmarshal([]byte(value), &person) != nil {
		return person, false, record.ErrDamaged
	}
	return person, true, nil
}

// userInfoBody is the answer to userInfo, under the names that renamed has for our keys.
func userInfoBody(id string, person contract.Contact, renamed map[string]string) string {
	values := [len(userInfoKeys)]string{
		string(person.ID), person.Name, person.Name, cmp.Or(person.Login, id), person.Phone, person.Email,
	}
	o, written := payload.New(), make(map[string]bool, len(userInfoKeys))
	for i, key := range userInfoKeys {
		name, ok := renamed[key]
		if !ok {
			name = key
		}
		if name == "" || written[name] {
			continue
		}
		written[name] = true
		if key == "avatar" {
			o.Text(name, avatar(person.Avatar))
		} else {
			o.Words(name, values[i])
		}
	}
	return o.End()
}

// avatar is the placeholder for a picture in base64, which the host fills in; nothing if
// there is no picture or its handle is none.
func avatar(handle contract.MediaHandle) string {
	odd := func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if handle == "" || strings.IndexFunc(string(handle), odd) >= 0 {
		return ""
	}
	return "{{media_base64:" + string(handle) + "}}"
}

// LookupContact asks ELMA365 for one of its users. Some versions may not offer it, and
// its answer is not documented, so it is read tolerantly and nothing depends on it.
func (connector) LookupContact(h pdk.Host, in *contract.LookupContactInput) (*contract.CommandOutput, error) {
	l, failure, err := dial(h, &in.Connection)
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return l.failed(failure), nil
	}
	result, failure := l.post(envelope("userInfo", payload.New().Words("userId", string(in.Contact)).End()))
	if failure == nil && result.Status != 200 {
		failure, err = l.lookupRefused(result)
	}
	if err != nil {
		return nil, err
	}
	if failure != nil {
		return l.failed(failure), nil
	}
	doc, err := payload.Parse([]byte(result.Body), payload.Limits{MaxValues: 2000})
	if err != nil {
		return l.failed(permanent("answer_unknown", "ELMA365 answered without details.")), nil
	}
	contact := readContact(in.Contact, doc)
	return &contract.CommandOutput{Events: []contract.Event{{Kind: contract.EventContactUpdated, Contact: &contact}}}, nil
}

// lookupRefused says what an answer without details means. Whether a 404 or a 500 is
// about the channel or about the method nobody documents, so neither changes the
// connection's state.
func (l *link) lookupRefused(result *contract.HTTPResult) (*contract.Failure, error) {
	switch status := result.Status; {
	case status == 401:
		return l.tokenRefused()
	case status == 404, status == 500, status == 501, status == 400, status == 405:
		return permanent("lookup_unsupported", "ELMA365 does not know the person, or this version does not tell."), nil
	}
	return refusal(result), nil
}

// What is read of an answer whose form nobody documents.
const (
	maxAttributes     = 32
	maxAttributeBytes = 512
)

// readContact reads a person's details under the names that they usually have, and keeps
// every other text as an attribute.
func readContact(id contract.ContactID, doc payload.Object) contract.Contact {
	for _, wrapper := range []string{"result", "data", "user"} { // from the outside in
		if inner := doc.Object(wrapper); inner.Present() {
			doc = inner
		}
	}
	c := contract.Contact{ID: id}
	for _, name := range doc.Names() {
		value := plain.Clip(scalar(doc, name), maxAttributeBytes)
		field := contactField(&c, name)
		switch {
		case value == "":
		case field != nil && *field == "":
			*field = value
		case field == nil && len(c.Attributes) < maxAttributes:
			if c.Attributes == nil {
				c.Attributes = map[string]string{}
			}
			c.Attributes[plain.Clip(name, maxAttributeBytes)] = value
		}
	}
	return c
}

// contactField is the field that a name usually means; nil if there is none.
func contactField(c *contract.Contact, name string) *string {
	switch strings.ToLower(name) {
	case "fullname", "name", "displayname", "__name":
		return &c.Name
	case "login", "username":
		return &c.Login
	case "phone", "telephone", "mobilephone", "workphone":
		return &c.Phone
	case "email", "mail":
		return &c.Email
	}
	return nil
}

// scalar reads a value that is no object and no array, as text.
func scalar(doc payload.Object, name string) string {
	raw := doc.Raw(name)
	switch {
	case len(raw) == 0 || raw[0] == '{' || raw[0] == '[':
		return ""
	case raw[0] == '"':
		return doc.String(name)
	}
	return string(raw)
}
