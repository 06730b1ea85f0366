package store_test

func crashChild() {}
