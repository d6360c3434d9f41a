"""Networks that several stages run; they lie below the stages and know none of them."""
