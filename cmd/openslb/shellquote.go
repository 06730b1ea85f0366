package main

import "strings"

// plainShell are the bytes that no POSIX shell treats in a special way.
const plainShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,@%+"

// shellQuote writes a word so that a POSIX shell reads it back unchanged.
func shellQuote(word string) string {
	if word != "" && strings.Trim(word, plainShell) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
