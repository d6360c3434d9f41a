module example.com/shop

require github.com/remove-bg/go v1.2.0
