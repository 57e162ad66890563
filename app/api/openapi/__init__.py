"""The OpenAPI document: what each endpoint takes and answers, by the types that the code itself works with."""
