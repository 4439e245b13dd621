package main

import "strings"

// arn is a topic's name, taken apart.
type arn struct {
	text      string
	partition string
	region    string
	account   string
}

// maxARNBytes bounds a topic's ARN: a name has at most 256 characters.
const maxARNBytes = 340

// parseARN reads arn:{partition}:sns:{region}:{12 digits}:{name}.
func parseARN(text string) (arn, bool) {
	fields := strings.Split(text, ":")
	if len(text) > maxARNBytes || len(fields) != 6 || fields[0] != "arn" || fields[2] != "sns" {
		return arn{}, false
	}
	a := arn{text: text, partition: fields[1], region: fields[3], account: fields[4]}
	name := strings.TrimSuffix(fields[5], ".fifo")
	fine := isRegion(a.region) && len(a.account) == 12 && only(a.account, isDigit) &&
		name != "" && len(name) <= 256 && only(name, isNameByte)
	return a, fine && a.host() != ""
}

func isNameByte(c byte) bool { return isHostByte(c) || c == '_' }

// isRegion tells whether a text is a region's name: two to four letters, at least one word, and
// a number of one or two digits, joined by hyphens. It is what keeps out "s3-us-west-2", and
// with it a bucket called "sns".
func isRegion(text string) bool {
	words := strings.Split(text, "-")
	last := len(words) - 1
	if last < 2 || len(words[0]) < 2 || len(words[0]) > 4 || len(words[last]) < 1 || len(words[last]) > 2 {
		return false
	}
	for _, word := range words[:last] {
		if word == "" || !only(word, isLowerLetter) {
			return false
		}
	}
	return only(words[last], isDigit)
}

func isLowerLetter(c byte) bool { return c >= 'a' && c <= 'z' }

// host is where SNS is in the topic's region; empty for a partition that nobody vouches for.
func (a arn) host() string {
	switch a.partition {
	case "aws", "aws-us-gov":
		return "sns." + a.region + ".amazonaws.com"
	case "aws-cn":
		return "sns." + a.region + ".amazonaws.com.cn"
	}
	return ""
}

// separateSigners are the regions whose certificates have a name of their own.
var separateSigners = []string{
	"af-south-1", "ap-east-1", "ap-east-2", "ap-south-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
	"ap-southeast-6", "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-1", "eu-south-2", "il-central-1",
	"me-central-1", "me-south-1", "mx-central-1",
}

// signer is the DNS name that the certificate of the topic's region must carry.
func (a arn) signer() string {
	switch a.partition {
	case "aws-us-gov":
		return "sns-us-gov-west-1.amazonaws.com"
	case "aws-cn":
		return "sns-" + a.region + ".amazonaws.com.cn"
	}
	for _, region := range separateSigners {
		if a.region == region {
			return "sns-signing." + region + ".amazonaws.com"
		}
	}
	return "sns.amazonaws.com"
}
