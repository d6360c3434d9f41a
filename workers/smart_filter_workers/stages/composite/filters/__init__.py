"""Extras that go by faces and smiles, drawn on the finished picture when they are asked for."""
