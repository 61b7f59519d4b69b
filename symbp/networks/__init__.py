"""Bundled example declarations: ``mlp.net``, ``rnn.net`` and others."""
