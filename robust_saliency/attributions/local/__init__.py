"""Local surrogate models: what a linear model of hidden features says of one image, and of many.

lime                  LIME, and the whole local model that it gives
superpixels           features: cells, single pixels, SLIC, quickshift, Felzenszwalb
lime_neighbourhood    which features the samples hide, and how near a sample is
lime_ridge            the weighted regression, from moments alone
lime_warnings         explanations that say little
feature_selection     fewer features: highest weights, forward selection, the lasso path
global_features       features that images share: pixels, cells, clustered superpixels
normlime, normlime_alternatives, sp_lime  explanations of a whole data set
"""
