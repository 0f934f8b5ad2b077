"""A year of real flights as a stream: will this one arrive late?"""
