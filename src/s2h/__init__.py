"""s2h: do vision-language models generalise from SIMPLE to HARD visual reasoning?"""
