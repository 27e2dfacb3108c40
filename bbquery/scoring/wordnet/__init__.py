"""WordNet 3.0's nouns: the data, the meanings of a label, and distances between meanings.

ImageNet's classes are nouns of this version, and a WordNet ID ("n02123045") is the number of a noun in it. Only the
nouns are read, by a reader of our own: it takes 0.7 s where NLTK takes 3 s, and needs no `lexnames`, which Debian
lacks. Distances are those of NLTK's `shortest_path_distance`, against which the tests hold them.
"""
