package main

import (
	"slices"
	"strconv"

	"github.com/seed75a60ee1/patchbay/pdk/contract"
	"github.com/seed75a60ee1/patchbay/pdk/origin"
	"github.com/seed75a60ee1/patchbay/pdk/plain"
)

// lineIcon is the picture of the line, by URL; may be empty.
func (s settings) lineIcon() string { return s["line_icon_url"] }

// members are the portal users of a new chat, where the portal does not take one without. It is
// false if the setting holds what is no id.
func (s settings) members() ([]int64, bool) {
	var members []int64
	for _, text := range s.list("chat_default_members") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 {
			return nil, false
		}
		members = append(members, n)
	}
	return members, true
}

// parksDoubtfulChats tells that a chat which may or may not have been made is not made again.
func (s settings) parksDoubtfulChats() bool { return s["doubtful_chat"] == "park" }

// entityTypes is what to try as the entity type of an upload, in order.
func (s settings) entityTypes() []string {
	first := s["file_entity_type"]
	if first == "" {
		first = "message"
	}
	types := []string{first}
	for _, next := range []string{"message", "chat", "messenger"} {
		if next != first {
			types = append(types, next)
		}
	}
	return types
}

// filesOnLine tells that the entity of an upload is the line, not the chat.
func (s settings) filesOnLine() bool { return s["file_entity_id"] == "line" }

// fileField is the name of the form field that a file is uploaded in.
func (s settings) fileField() string {
	if name := s["file_part_name"]; name != "" {
		return name
	}
	return "files[]"
}

// filesByID tells that attachments are named by id, not by the whole object.
func (s settings) filesByID() bool { return s["attached_files_mode"] == "id" }

// bearerForFiles tells that a download from the portal's own host has the access token.
func (s settings) bearerForFiles() bool { return s["attachment_auth"] != "never" }

// namesFiles tells that an attachment without text is sent with its file name where the portal
// takes no empty text.
func (s settings) namesFiles() bool { return s["empty_text_fallback"] != "off" }

// inSeconds tells that timestamps are sent in seconds.
func (s settings) inSeconds() bool { return s["timestamp_unit"] == "s" }

// maxText is the longest text of one message, in Unicode code points.
func (s settings) maxText() int { return int(s.integer("max_text_len", 4096)) }

// maxFileBytes is the largest attachment that is sent.
func (s settings) maxFileBytes() int64 { return s.integer("max_attachment_bytes", 25<<20) }

// onlyMessages tells that media are sent as messages of type MESSAGE.
func (s settings) onlyMessages() bool { return s["force_message_type"] == "MESSAGE" }

// plainText tells that texts are sent without formatting.
func (s settings) plainText() bool { return s["markdown_profile"] == "plain" }

// duplicateMarker is what an answer says of a message that is there already.
func (s settings) duplicateMarker() string {
	if marker := s["duplicate_marker"]; marker != "" {
		return marker
	}
	return "E11000 duplicate key error"
}

func (s settings) forwardsEdits() bool { return s["forward_edits"] != "false" }

func (s settings) forwardsDeletes() bool { return s["forward_deletes"] == "true" }

// forwardsKind tells whether messages of a type that no person wrote are forwarded.
func (s settings) forwardsKind(kind string) bool {
	return slices.Contains(s.list("forward_types"), kind)
}

// strictEcho tells that whatever may be ours is taken for an echo, and not only what has an
// external author.
func (s settings) strictEcho() bool { return s["echo_filter"] != "external_author" }

// deletes tells that a customer's message is deleted in the portal, not only noted as deleted.
func (s settings) deletes() bool { return s["delete_policy"] == "delete" }

func (s settings) deleteNote() string { return s["delete_note"] }

// editNote stands before the new text of a message that cannot be changed.
func (s settings) editNote() string { return s["edit_note"] }

// keepsLine tells that the line stays in the portal when the connection ends.
func (s settings) keepsLine() bool { return s["line_at_teardown"] == "keep" }

// reconcileMillis is the time between two rounds of reading, in milliseconds; 0 never reads.
func (s settings) reconcileMillis() int64 {
	n, err := strconv.ParseInt(s["reconcile_interval_minutes"], 10, 64)
	if err != nil || n < 0 {
		n = 10
	}
	return n * 60_000
}

// chatProblem says what is wrong with a connection's settings beyond what their types tell;
// empty if nothing is.
func (s settings) chatProblem() string {
	if s.portalHost() == "" {
		return "portal_url needs scheme and host alone, such as https://acme.uspacy.ua"
	}
	if _, ok := s.members(); !ok {
		return "chat_default_members needs ids of portal users, such as 18,21"
	}
	for _, host := range s.list("file_hosts") {
		if !origin.IsName(host) {
			return "file_hosts needs host names, such as files.example.com"
		}
	}
	return ""
}

// lineName is what people see of the line.
func lineName(c *contract.Connection) string {
	for _, name := range []string{c.Settings["line_name"], c.Name} {
		if name != "" {
			return plain.Clip(name, maxLineName)
		}
	}
	return "Patchbay"
}

// maxLineName bounds a line's name, in bytes.
const maxLineName = 200
