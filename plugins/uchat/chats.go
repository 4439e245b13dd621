package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/seed75a60ee1/patchbay/pdk"
	"github.com/seed75a60ee1/patchbay/pdk/contract"
)

// maxSenderID bounds a sender's id, in characters (protocol section 4.2).
const maxSenderID = 64

// hashedPrefix begins the ids that stand for others, so that no person's own id can be taken
// for one.
const hashedPrefix = "x:"

// senderID is a person's id in the characters that UChat may be sent: the same for the same
// person, and another for every other.
func senderID(person string) string {
	odd := func(r rune) bool { return r != ':' && r != '_' && r != '-' && !isAlphanumeric(r) }
	if len(person) <= maxSenderID && strings.IndexFunc(person, odd) < 0 && !strings.HasPrefix(person, hashedPrefix) {
		return person
	}
	sum := sha256.Sum256([]byte(person))
	return hashedPrefix + base64.RawURLEncoding.EncodeToString(sum[:])
}

// maxProbes bounds the search for a number that is free: of 10 million conversations, one
// number in 200 is taken.
const maxProbes = 32

// introduce makes sure that whatever UChat echoes leads back to the conversation. A bot may
// answer before the answer to our call is here, when nothing of this invocation is committed
// yet; so what is new is committed first, and the message goes out with the next attempt, at
// once.
func introduce(h pdk.Host, m *contract.Message) (chatRecord, *contract.Failure, error) {
	chat := string(m.Conversation.ID)
	record, known, err := loadChat(h, chat)
	if err != nil {
		return record, nil, err
	}
	sender := record.sender // of a message without its person, as an operator's over a bridge
	if who := m.Author.Contact.ID; who != "" || sender == "" {
		sender = senderID(cmp.Or(string(who), chat))
	}
	if !known {
		if record.number, err = freeNumber(h, chat); err != nil {
			return record, nil, err
		}
		if err := h.KVPut(contract.KVPut{Key: prefixNumber + strconv.FormatInt(record.number, 10), Value: chat, CheckVersion: true}); err != nil {
			return record, nil, err
		}
	}
	if !known || record.sender != sender {
		record.sender = sender
		if err := h.KVPut(contract.KVPut{Key: prefixChat + chat, Value: record.encode()}); err != nil {
			return record, nil, err
		}
	}
	last, _, found, err := h.KVGet(prefixUser + sender)
	if err != nil {
		return record, nil, err
	}
	if last != chat || !found {
		if err := h.KVPut(contract.KVPut{Key: prefixUser + sender, Value: chat}); err != nil {
			return record, nil, err
		}
	}
	if known && found {
		return record, nil, nil
	}
	return record, &contract.Failure{
		Class: contract.FailureRetryAfter, Code: "introduced", RetryAfterMillis: 1,
		Message: "Where answers belong is kept first, because the bot may answer at once; the message follows.",
	}, nil
}

// freeNumber is a conversation's number: positive, below 2^31 and not another's. It follows
// from the conversation's name, so that a connection made anew has the same ones.
func freeNumber(h pdk.Host, chat string) (int64, error) {
	for probe := range maxProbes {
		sum := sha256.Sum256([]byte(strconv.Itoa(probe) + " " + chat))
		number := int64(binary.BigEndian.Uint32(sum[:]) >> 1)
		if number == 0 {
			continue
		}
		_, _, taken, err := h.KVGet(prefixNumber + strconv.FormatInt(number, 10))
		if err != nil || !taken {
			return number, err
		}
	}
	return 0, errNumbers
}
